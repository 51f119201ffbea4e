/**
 * Reads what a `scheduler_config.json` says about the steps of a sampler, as diffusers'
 * `from_config` hands one class's settings to another: those that are in the file, and
 * the class's own defaults for the rest.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { type DdimConfig, readDdimConfig } from "./ddim_config.ts";
import type { TimestepSpacing } from "./noise_levels.ts";

/** A model's scheduler config: for DDIM, and all that the file says. */
export interface SchedulerConfig extends DdimConfig {
  /** The file's JSON. */
  readonly file: Readonly<Record<string, unknown>>;
}

/**
 * Reads and checks a `scheduler_config.json`.
 *
 * @param config the parsed JSON
 * @param name the file, for messages
 * @throws {MasterWeaverError} `bad-model` naming a key, its value and what is expected
 */
export function readSchedulerConfig(
  config: unknown,
  name: string,
): SchedulerConfig {
  const read = readDdimConfig(config, name);
  return { ...read, file: config as Readonly<Record<string, unknown>> };
}

/** Settings of a sampler's steps that are not implemented, and the value that they must have. */
const ALWAYS: readonly (readonly [key: string, value: unknown])[] = [
  ["thresholding", false],
  ["use_beta_sigmas", false],
  ["use_lu_lambdas", false],
  ["interpolation_type", "linear"],
  ["timestep_type", "discrete"],
  ["solver_p", null],
  ["sigma_min", null],
  ["sigma_max", null],
];

/** Settings of a sampler's steps, by diffusers' names. */
export class OwnSettings {
  readonly #values: Readonly<Record<string, unknown>>;

  /**
   * Settings from a file, in which others may be set.
   *
   * @param fixed what a sampler's name says, which counts more than the file
   */
  constructor(
    { file }: Pick<SchedulerConfig, "file">,
    fixed: Readonly<Record<string, unknown>> = {},
  ) {
    this.#values = { ...file, ...fixed };
  }

  /**
   * Refuses what is not implemented.
   *
   * @throws {MasterWeaverError} `bad-model`
   */
  check(): void {
    for (const [key, wanted] of ALWAYS) {
      const value = this.#values[key] ?? wanted;
      if (value !== wanted) throw wrong(key, value, JSON.stringify(wanted));
    }
    const clipped = this.#values.lambda_min_clipped ?? -Infinity;
    // JSON has no infinity; diffusers writes it as a word that readers take for null.
    if (clipped !== -Infinity && clipped !== "-inf") {
      throw wrong("lambda_min_clipped", clipped, "-Infinity");
    }
  }

  /** Whether a setting is true. */
  flag(key: string, whenAbsent: boolean): boolean {
    const value = this.#values[key] ?? whenAbsent;
    if (typeof value === "boolean") return value;
    throw wrong(key, value, "true or false");
  }

  /** A whole number within limits. */
  integer(key: string, whenAbsent: number, low: number, high: number): number {
    const value = this.#values[key] ?? whenAbsent;
    const number = typeof value === "number" && Number.isInteger(value)
      ? value
      : NaN;
    if (number >= low && number <= high) return number;
    throw wrong(key, value, `a whole number in ${low}..${high}`);
  }

  /** A number above 0. */
  positive(key: string, whenAbsent: number): number {
    const value = this.#values[key] ?? whenAbsent;
    if (typeof value === "number" && value > 0 && value < 1e6) return value;
    throw wrong(key, value, "a number above 0");
  }

  /** The order of a solver. */
  order(): 1 | 2 | 3 {
    return this.integer("solver_order", 2, 1, 3) as 1 | 2 | 3;
  }

  /** One of some words; words of other classes mean the default, as in diffusers. */
  word<W extends string>(
    key: string,
    words: readonly [W, ...W[]],
    others: readonly string[] = [],
  ): W {
    const value = this.#values[key] ?? words[0];
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    if (others.includes(value as string)) return words[0];
    throw wrong(key, value, words.join(" or "));
  }

  /** How timesteps are spread. */
  spacing(whenAbsent: TimestepSpacing): TimestepSpacing {
    const words = ["leading", "trailing", "linspace"] as const;
    const value = this.#values.timestep_spacing ?? whenAbsent;
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    throw wrong("timestep_spacing", value, words.join(", "));
  }

  /** What is added to the timesteps of `leading`. */
  stepsOffset(): number {
    return this.integer("steps_offset", 0, 0, 1);
  }

  /** Whole numbers in a list. */
  integers(key: string): number[] {
    const value = this.#values[key] ?? [];
    if (Array.isArray(value) && value.every(Number.isInteger)) return value;
    throw wrong(key, value, "a list of whole numbers");
  }
}

function wrong(key: string, value: unknown, expected: string) {
  const shown = (JSON.stringify(value) ?? String(value)).slice(0, 80);
  return new MasterWeaverError(
    "bad-model",
    `Scheduler config of the model has ${key} ${shown}, expected ${expected}; give a sampler and schedule by name`,
  );
}
