/**
 * The command's options, from text to values; every fault names the option as
 * it is typed.
 *
 * @module
 */
import type { FaceChoice } from "../../face/finder.ts";
import { checkFit, type Fit } from "../../identity/fit.ts";
import type { StorageType } from "../../gpu/gpu.ts";
import { checkTuneMode, type TuneMode } from "../../graph/tuner.ts";
import { type OptionValues, parseArguments } from "../arguments.ts";
import { asUsage, typed, UsageError } from "../exit.ts";
import {
  anySize,
  checkSettings,
  type LessWork,
  type Rng,
  type Settings,
} from "../../options/options.ts";
import { faceChoice } from "../../options/settings_text.ts";

const specs = {
  ref: { type: "string", multiple: true },
  prompt: { type: "string" },
  "negative-prompt": { type: "string" },
  model: { type: "string" },
  adapter: { type: "string" },
  steps: { type: "string" },
  "guidance-scale": { type: "string" },
  "id-scale": { type: "string" },
  seed: { type: "string" },
  "num-images": { type: "string" },
  width: { type: "string" },
  height: { type: "string" },
  rng: { type: "string" },
  "cuda-threads": { type: "string" },
  dtype: { type: "string" },
  tune: { type: "string" },
  output: { type: "string" },
  "save-references": { type: "boolean" },
  align: { type: "boolean" },
  "no-align": { type: "boolean" },
  parse: { type: "boolean" },
  "no-parse": { type: "boolean" },
  face: { type: "string" },
  "require-face": { type: "boolean" },
  "no-require-face": { type: "boolean" },
  fit: { type: "string" },
  "reuse-features": { type: "string" },
  "guidance-range": { type: "string" },
  "merge-tokens": { type: "string" },
  "from-image": { type: "string" },
  json: { type: "boolean" },
  quiet: { type: "boolean" },
  help: { type: "boolean" },
  version: { type: "boolean" },
} as const;

/** Numbers as people write them: in decimal, with no blanks around them. */
const WHOLE = /^[+-]?\d+$/;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

type Values = OptionValues<typeof specs>;

/** What was typed; what was not is absent. */
export interface Flags {
  /** The reference photos' files. */
  readonly refs: readonly string[];
  /** Settings of the image. */
  readonly settings: Partial<Settings>;
  /** What was typed, by option. */
  readonly typed: Readonly<Record<string, unknown>>;
  /** The model's folder. */
  readonly model?: string;
  /** The identity adapter's file. */
  readonly adapter?: string;
  /** Storage of activations. */
  readonly dtype?: StorageType;
  /** How shaders are chosen. */
  readonly tune?: TuneMode;
  /** Whether faces are aligned. */
  readonly align?: boolean;
  /** Whether all but the face is blackened. */
  readonly parse?: boolean;
  /** Which face of several. */
  readonly face?: FaceChoice;
  /** Whether a face is required. */
  readonly requireFace?: boolean;
  /** How what is not square becomes square. */
  readonly fit?: Fit;
  /** Where the image goes. */
  readonly output: string;
  /** Whether what the encoder saw is written, too. */
  readonly saveReferences: boolean;
  /** The image whose making is repeated. */
  readonly fromImage?: string;
  /** Whether one JSON object is printed. */
  readonly json: boolean;
  /** Whether no progress is told. */
  readonly quiet: boolean;
  /** What is printed instead of working. */
  readonly only?: "help" | "version";
}

/**
 * Reads the command line.
 *
 * @throws {UsageError} that names the option, what was given and what was expected
 */
export function readFlags(args: readonly string[]): Flags {
  const { values } = parseArguments(args, specs, "no-positionals");
  const only = values.help ? "help" : values.version ? "version" : undefined;
  const { rng, dtype, tune } = values;
  const settings = withoutUndefined<Settings>({
    prompt: values.prompt,
    negativePrompt: values["negative-prompt"],
    steps: whole(values, "steps"),
    guidanceScale: number(values, "guidance-scale"),
    idScale: number(values, "id-scale"),
    seed: seed(values.seed),
    numImages: whole(values, "num-images"),
    width: whole(values, "width"),
    height: whole(values, "height"),
    rng: rng as Rng | undefined,
    cudaThreads: whole(values, "cuda-threads"),
    reuseFeatures: whole(values, "reuse-features"),
    mergeTokens: number(values, "merge-tokens"),
    guidanceRange: fractions(values["guidance-range"]),
  });
  asUsage(() => checkSettings({ prompt: "", ...settings }, anySize), {
    typed: values,
  });
  asUsage(() => checkTuneMode(tune), { typed: values });
  asUsage(() => checkFit(values.fit), { typed: values });
  if (dtype !== undefined && dtype !== "f16" && dtype !== "f32") {
    throw new UsageError(
      `Option --dtype must be f16 or f32, got ${typed(dtype)}`,
    );
  }
  for (const name of ["output", "model", "adapter", "from-image"] as const) {
    if (values[name] === "") {
      throw new UsageError(`Option --${name} needs a path, got ""`);
    }
  }
  const flags: Flags = {
    refs: values.ref ?? [],
    settings,
    typed: values,
    model: values.model,
    adapter: values.adapter,
    dtype,
    tune: tune as TuneMode | undefined,
    align: either(values, "align", "no-align"),
    parse: either(values, "parse", "no-parse"),
    face: face(values.face),
    requireFace: either(values, "require-face", "no-require-face"),
    fit: values.fit as Fit | undefined,
    output: values.output ?? "output.png",
    saveReferences: values["save-references"] ?? false,
    fromImage: values["from-image"],
    json: values.json ?? false,
    quiet: values.quiet ?? false,
    only,
  };
  if (only === undefined) checkTogether(flags);
  return flags;
}

/** Of an image's settings, those that the command line has instead. */
export function typedKeys(flags: Flags): ReadonlySet<string> {
  const { settings, model, adapter, dtype, tune, parse, requireFace } = flags;
  const keys = Object.entries({ ...settings, dtype, tune, parse, requireFace })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`));
  return new Set([
    ...keys,
    ...model === undefined ? [] : ["model", "model_hash", "adapter_hash"],
    ...adapter === undefined ? [] : ["adapter_hash"],
  ]);
}

function checkTogether({ refs, face, align }: Flags): void {
  if (refs.length === 0) throw new UsageError("Give a photo with --ref FILE");
  if (refs.includes("")) {
    throw new UsageError('Option --ref needs a path, got ""');
  }
  if (face !== undefined && align === false) {
    throw new UsageError("Give --face or --no-align, not both");
  }
}

type TwoSided = "align" | "parse" | "require-face";

function either<N extends TwoSided>(
  values: Values,
  yes: N,
  no: `no-${N}`,
): boolean | undefined {
  if (values[yes] && values[no]) {
    throw new UsageError(`Give --${yes} or --${no}, not both`);
  }
  return values[yes] ? true : values[no] ? false : undefined;
}

/** Options that take whole numbers, and those that take others too. */
type NumberFlag =
  | "steps"
  | "num-images"
  | "width"
  | "height"
  | "cuda-threads"
  | "reuse-features";
type FractionFlag = "guidance-scale" | "id-scale" | "merge-tokens";

function whole(values: Values, name: NumberFlag): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (WHOLE.test(text)) return Number(text);
  throw notA(DECIMAL.test(text) ? "whole number" : "number", name, text);
}

function number(values: Values, name: FractionFlag): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (DECIMAL.test(text)) return Number(text);
  throw notA("number", name, text);
}

function notA(what: string, name: string, text: string): UsageError {
  return new UsageError(`Option --${name} takes a ${what}, got ${typed(text)}`);
}

function fractions(
  text: string | undefined,
): LessWork["guidanceRange"] | undefined {
  if (text === undefined) return undefined;
  const [from, to, ...more] = text.split(",")
    .map((part) => DECIMAL.test(part.trim()) ? Number(part) : NaN);
  if (Number.isNaN(from + (to ?? NaN)) || more.length > 0) {
    throw new UsageError(
      `Option --guidance-range takes two numbers, such as 0,0.5, got ${
        typed(text)
      }`,
    );
  }
  return [from, to];
}

function seed(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text)) {
    throw new UsageError(
      `Option --seed takes a whole number, got ${typed(text)}`,
    );
  }
  return BigInt(text.slice(0, 100));
}

function face(text: string | undefined): FaceChoice | undefined {
  if (text === undefined) return undefined;
  const choice = faceChoice(text);
  if (choice !== undefined) return choice;
  throw new UsageError(
    `Option --face takes a number from 0, best or largest, got ${typed(text)}`,
  );
}

function withoutUndefined<T>(given: { [K in keyof T]?: T[K] | undefined }) {
  const entries = Object.entries(given).filter(([, value]) =>
    value !== undefined
  );
  return Object.fromEntries(entries) as Partial<T>;
}
