/**
 * Reads a checkpoint's `scheduler_config.json` for DDIM.
 *
 * Where no sampler is asked for, images are made with DDIM, as in the reference,
 * whichever sampler the file names: what matters is the noise that the model was trained
 * with. Settings of other samplers' steps are left to `own_settings.ts`; settings of
 * DDIM or of the training noise that are not implemented are errors.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type {
  Prediction,
  Spacing,
  TimestepSpacing,
  TrainingNoise,
} from "./noise_levels.ts";

/** The settings of a checkpoint's `scheduler_config.json` that the schedule needs. */
export interface DdimConfig extends TrainingNoise, Spacing {
  /** Whether the last step removes all noise, rather than down to the first level. */
  readonly setAlphaToOne: boolean;
}

export type { TimestepSpacing };

const SPACINGS: readonly TimestepSpacing[] = [
  "leading",
  "trailing",
  "linspace",
];

/** Defaults of a diffusers class for keys that are absent. */
interface Defaults {
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: "linear" | "scaled_linear";
  readonly setAlphaToOne: boolean;
  readonly stepsOffset: number;
}

const DDIM: Defaults = {
  betaStart: 0.0001,
  betaEnd: 0.02,
  betaSchedule: "linear",
  setAlphaToOne: true,
  stepsOffset: 0,
};

/**
 * Defaults of a class other than DDIM's. Its file describes its own steps, so DDIM's
 * steps use the values of Stable Diffusion, as in the reference.
 */
const OTHER: Defaults = { ...DDIM, setAlphaToOne: false, stepsOffset: 1 };

/** Defaults of classes that assume Stable Diffusion's betas. */
const HEUN: Defaults = { ...OTHER, betaStart: 0.00085, betaEnd: 0.012 };

/** Classes of diffusers whose models are trained with betas, as DDIM's are. */
const CLASSES: Readonly<Record<string, Defaults>> = {
  DDIMScheduler: DDIM,
  DDIMParallelScheduler: DDIM,
  DDPMScheduler: OTHER,
  DDPMParallelScheduler: OTHER,
  PNDMScheduler: OTHER,
  LMSDiscreteScheduler: OTHER,
  EulerDiscreteScheduler: OTHER,
  EulerAncestralDiscreteScheduler: OTHER,
  DPMSolverMultistepScheduler: OTHER,
  DPMSolverSinglestepScheduler: OTHER,
  DEISMultistepScheduler: OTHER,
  UniPCMultistepScheduler: OTHER,
  SASolverScheduler: OTHER,
  HeunDiscreteScheduler: HEUN,
  KDPM2DiscreteScheduler: HEUN,
  KDPM2AncestralDiscreteScheduler: HEUN,
  DPMSolverSDEScheduler: HEUN,
  LCMScheduler: { ...HEUN, betaSchedule: "scaled_linear" },
  TCDScheduler: { ...HEUN, betaSchedule: "scaled_linear" },
};

/** Settings of the training noise that must be absent or have the implemented value. */
const TRAINING: readonly Fixed[] = [
  ["use_flow_sigmas", false],
  ["trained_betas", null],
];

/** Settings of DDIM's steps that must be absent or have the implemented value. */
const OWN_STEPS: readonly Fixed[] = [
  ["clip_sample", false],
  ["thresholding", false],
  ["use_karras_sigmas", false],
  ["use_exponential_sigmas", false],
  ["use_beta_sigmas", false],
];

type Fixed = readonly [key: string, wanted: unknown];

/** Settings of other samplers' steps, which do not depend on the model. */
const OTHER_STEPS: readonly string[] = [
  "timestep_spacing",
  "steps_offset",
  "set_alpha_to_one",
  "clip_sample",
  "clip_sample_range",
  "thresholding",
  "dynamic_thresholding_ratio",
  "sample_max_value",
  "use_karras_sigmas",
  "use_exponential_sigmas",
  "use_beta_sigmas",
  "use_lu_lambdas",
  "sigma_min",
  "sigma_max",
  "final_sigmas_type",
  "interpolation_type",
  "timestep_type",
  "lambda_min_clipped",
  "skip_prk_steps",
  "algorithm_type",
  "solver_order",
  "solver_type",
  "solver_p",
  "predictor_order",
  "corrector_order",
  "predict_x0",
  "disable_corrector",
  "lower_order_final",
  "euler_at_final",
  "noise_sampler_seed",
];

/**
 * Reads and checks a `scheduler_config.json`.
 *
 * Absent keys take the defaults of the class that the file names, or of DDIM if it
 * names none. The exception is `clip_sample`: latents are never clipped, as Stable
 * Diffusion's pipelines set it to false.
 *
 * @param config the parsed JSON
 * @param name the file, for messages
 * @throws {MasterWeaverError} `bad-model` naming a key, its value and what is expected
 */
export function readDdimConfig(config: unknown, name: string): DdimConfig {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new MasterWeaverError(
      "bad-model",
      `Scheduler config of ${name} must be an object, got ${show(config)}`,
    );
  }
  const values = new SchedulerValues(config as Record<string, unknown>, name);
  const defaults = values.defaults();
  for (const [key, wanted] of TRAINING) values.only(key, wanted);
  values.noLearnedVariance();
  return {
    trainSteps: values.integer("num_train_timesteps", 1000, 1, 1e5),
    betaStart: values.beta("beta_start", defaults.betaStart),
    betaEnd: values.beta("beta_end", defaults.betaEnd),
    betaSchedule: values.betaSchedule(defaults.betaSchedule),
    prediction: values.prediction(),
    zeroTerminalSnr: values.boolean("rescale_betas_zero_snr", false),
    ...otherSampler(config) === undefined ? ownSteps(values) : {
      setAlphaToOne: OTHER.setAlphaToOne,
      stepsOffset: OTHER.stepsOffset,
      timestepSpacing: "leading",
    },
  };
}

/** The settings of DDIM's own config for its steps. */
function ownSteps(
  values: SchedulerValues,
): Pick<DdimConfig, "setAlphaToOne" | "stepsOffset" | "timestepSpacing"> {
  for (const [key, wanted] of OWN_STEPS) values.only(key, wanted);
  return {
    setAlphaToOne: values.boolean("set_alpha_to_one", DDIM.setAlphaToOne),
    stepsOffset: values.integer("steps_offset", DDIM.stepsOffset, 0, 1),
    timestepSpacing: values.spacing(),
  };
}

/** Samplers of distilled models, which only they can run in few steps. */
export const DISTILLED: readonly unknown[] = ["LCMScheduler", "TCDScheduler"];

/** A sampler that a config names and DDIM replaces. */
export interface OtherSampler {
  /** Its class in diffusers. */
  readonly name: string;
  /** Settings of its steps in the file, which are ignored. */
  readonly passedOver: readonly string[];
}

/**
 * The sampler that a scheduler config names, if it is one that DDIM replaces.
 *
 * @param config a config that {@linkcode readDdimConfig} accepts
 */
export function otherSampler(config: unknown): OtherSampler | undefined {
  const values = config as Record<string, unknown>;
  const { _class_name: name } = values;
  if (typeof name !== "string" || /^DDIM(Parallel)?S/.test(name)) return;
  if (DISTILLED.includes(name)) return;
  const isSet = (key: string) =>
    Object.hasOwn(values, key) && values[key] !== null && values[key] !== false;
  return { name, passedOver: OTHER_STEPS.filter(isSet) };
}

/** Reads a scheduler config key by key; null counts as absent, as in diffusers. */
class SchedulerValues {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #name: string;

  constructor(values: Readonly<Record<string, unknown>>, name: string) {
    this.#values = values;
    this.#name = name;
  }

  /** Defaults of the class that the file names. */
  defaults(): Defaults {
    const name = this.#values._class_name ?? "DDIMScheduler";
    if (typeof name === "string" && Object.hasOwn(CLASSES, name)) {
      return CLASSES[name];
    }
    throw this.#wrong(
      "_class_name",
      name,
      `DDIMScheduler or another that adds noise by betas: ${
        Object.keys(CLASSES).slice(2).map((name) =>
          name.replace("Scheduler", "")
        ).join(", ")
      }`,
    );
  }

  only(key: string, wanted: unknown): void {
    const value = this.#values[key] ?? wanted;
    if (value !== wanted) throw this.#wrong(key, value, show(wanted));
  }

  /** Refuses a UNet that predicts a variance besides the noise. */
  noLearnedVariance(): void {
    const value = this.#values.variance_type;
    if (typeof value !== "string" || !value.startsWith("learned")) return;
    throw this.#wrong("variance_type", value, "a fixed one");
  }

  betaSchedule(whenAbsent: "linear" | "scaled_linear") {
    const value = this.#values.beta_schedule ?? whenAbsent;
    if (value === "linear" || value === "scaled_linear") return value;
    throw this.#wrong("beta_schedule", value, '"linear" or "scaled_linear"');
  }

  spacing(): TimestepSpacing {
    const value = this.#values.timestep_spacing ?? "leading";
    const found = SPACINGS.find((name) => name === value);
    if (found !== undefined) return found;
    throw this.#wrong("timestep_spacing", value, SPACINGS.join(", "));
  }

  prediction(): Prediction {
    const value = this.#values.prediction_type ?? "epsilon";
    if (value === "epsilon" || value === "v_prediction") return value;
    throw this.#wrong(
      "prediction_type",
      value,
      '"epsilon" or "v_prediction"',
    );
  }

  boolean(key: string, whenAbsent: boolean): boolean {
    const value = this.#values[key] ?? whenAbsent;
    if (typeof value === "boolean") return value;
    throw this.#wrong(key, value, "true or false");
  }

  integer(key: string, whenAbsent: number, low: number, high: number): number {
    const value = this.#values[key] ?? whenAbsent;
    if (
      typeof value === "number" && Number.isInteger(value) && value >= low &&
      value <= high
    ) return value;
    throw this.#wrong(key, value, `a whole number in ${low}..${high}`);
  }

  beta(key: string, whenAbsent: number): number {
    const value = this.#values[key] ?? whenAbsent;
    if (typeof value === "number" && value > 0 && value < 1) return value;
    throw this.#wrong(key, value, "a number between 0 and 1");
  }

  #wrong(key: string, found: unknown, wanted: string): MasterWeaverError {
    return new MasterWeaverError(
      "bad-model",
      `Scheduler config of ${this.#name} has ${key} ${
        show(found)
      }, expected ${wanted}: no other value is implemented`,
    );
  }
}

function show(value: unknown): string {
  const text = typeof value === "number"
    ? String(value)
    : JSON.stringify(value) ?? String(value);
  return text.slice(0, 80);
}
