/**
 * Everything that made an image as the text chunks of its PNG, and back.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { FaceChoice } from "../face/finder.ts";
import type { Fit } from "../identity/fit.ts";
import type { StorageType } from "../gpu/gpu.ts";
import { checkTuneMode, type TuneMode } from "../graph/tuner.ts";
import {
  anySize,
  checkSettings,
  type Rng,
  type Settings,
  withoutUndefined,
} from "./options.ts";
import { version } from "../base/version.ts";

/** What made an image, beside its settings. */
export interface Provenance {
  /** The model's folder, as it was given. */
  readonly model: string;
  /** The model's hash, identity adapter included. */
  readonly modelHash: string;
  /** The identity adapter's file, where another than the model's was given. */
  readonly adapter?: string;
  /** Its header's hash. */
  readonly adapterHash: string;
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** How shaders were chosen. */
  readonly tune: TuneMode;
  /** Whether faces were aligned; as the model says where not given. */
  readonly align?: boolean;
  /** Whether all but the face was blackened. */
  readonly parse: boolean;
  /** Which face was asked for, where one was. */
  readonly face?: FaceChoice;
  /** Whether a face was required. */
  readonly requireFace: boolean;
  /** How what was not square became square, where that was asked for. */
  readonly fit?: Fit;
  /** SHA-256 of the reference photos' files, in order. */
  readonly referenceHashes: readonly string[];
}

/** What an image says of how it was made; what it does not say is absent. */
export interface Recorded {
  /** Settings of the image. */
  readonly settings: Partial<Settings>;
  /** What else made it. */
  readonly provenance: Partial<Provenance>;
}

/** Settings and provenance by the keys their chunks have. */
export function toText(
  settings: Settings,
  provenance: Provenance,
): Record<string, string> {
  const { adapter, align, face, fit } = provenance;
  return {
    software: `masterweaver ${version}`,
    prompt: settings.prompt,
    negative_prompt: settings.negativePrompt,
    steps: String(settings.steps),
    guidance_scale: String(settings.guidanceScale),
    id_scale: String(settings.idScale),
    seed: String(settings.seed),
    num_images: String(settings.numImages),
    width: String(settings.width),
    height: String(settings.height),
    rng: settings.rng,
    cuda_threads: String(settings.cudaThreads),
    guidance_range: settings.guidanceRange.join(","),
    reuse_features: String(settings.reuseFeatures),
    merge_tokens: String(settings.mergeTokens),
    dtype: provenance.dtype,
    tune: provenance.tune,
    ...align !== undefined && { align: String(align) },
    parse: String(provenance.parse),
    ...face !== undefined && { face: String(face) },
    require_face: String(provenance.requireFace),
    ...fit !== undefined && { fit },
    model: provenance.model,
    model_hash: provenance.modelHash,
    ...adapter !== undefined && { adapter },
    adapter_hash: provenance.adapterHash,
    reference_hashes: provenance.referenceHashes.join(","),
  };
}

/**
 * What text chunks hold; what is absent stays absent.
 *
 * @param text chunks by key
 * @param name what messages call the file
 * @throws {MasterWeaverError} `bad-image` where it was not made here, or a value cannot be
 */
export function fromText(
  text: Readonly<Record<string, string>>,
  name: string,
): Recorded {
  if (!text.software?.startsWith("masterweaver ")) {
    throw new MasterWeaverError(
      "bad-image",
      `Cannot repeat ${name}: it carries no settings; give a PNG or JPEG that this command made`,
    );
  }
  const read = new Reader(text, name);
  const range = read.value("guidance_range", "two fractions", fractions);
  const given: Partial<Settings> = {
    prompt: text.prompt,
    negativePrompt: text.negative_prompt,
    steps: read.number("steps"),
    guidanceScale: read.number("guidance_scale"),
    idScale: read.number("id_scale"),
    numImages: read.number("num_images"),
    width: read.number("width"),
    height: read.number("height"),
    reuseFeatures: read.number("reuse_features"),
    mergeTokens: read.number("merge_tokens"),
    cudaThreads: read.number("cuda_threads"),
    seed: read.value("seed", "a whole number", wholeNumber),
    rng: text.rng as Rng | undefined,
    guidanceRange: range,
  };
  const settings = withoutUndefined(given);
  read.checked(() => checkSettings({ prompt: "", ...settings }, anySize));
  read.checked(() => checkTuneMode(text.tune));
  const provenance: Partial<Provenance> = {
    model: text.model,
    modelHash: text.model_hash,
    adapter: text.adapter,
    adapterHash: text.adapter_hash,
    dtype: read.value("dtype", "f16 or f32", storage),
    tune: text.tune as TuneMode | undefined,
    align: read.boolean("align"),
    parse: read.boolean("parse"),
    face: read.value("face", "a number from 0, best or largest", faceChoice),
    requireFace: read.boolean("require_face"),
    fit: read.value("fit", "crop or pad", fitChoice),
    referenceHashes: text.reference_hashes?.split(","),
  };
  return { settings, provenance: withoutUndefined(provenance) };
}

/** What an image says only where it was asked for. */
const OPTIONAL = new Set(["software", "adapter", "align", "face", "fit"]);

/**
 * Names what an image that is repeated does not say of its making, and what is
 * used instead.
 *
 * @param said the image's own chunks
 * @param used the chunks of what is made now
 * @param typed keys that were asked for otherwise
 * @returns no line or one
 */
export function missingWarnings(
  said: Readonly<Record<string, string>>,
  used: Readonly<Record<string, string>>,
  typed: ReadonlySet<string>,
): string[] {
  const missing = Object.keys(used).filter((key) =>
    !Object.hasOwn(said, key) && !OPTIONAL.has(key) && !typed.has(key)
  );
  if (missing.length === 0) return [];
  const values = missing.map((key) => {
    const value = used[key] === "" ? '""' : used[key];
    return key.includes("hash")
      ? value.split(",").map((hash) => hash.slice(0, 10)).join(",")
      : value.slice(0, 60);
  });
  return [
    `The image does not say its ${missing.join(", ")}: ${values.join(", ")} ${
      missing.length === 1 ? "is" : "are"
    } used`,
  ];
}

/**
 * A face by its name or number.
 *
 * @returns nothing where it is neither
 */
export function faceChoice(text: string): FaceChoice | undefined {
  if (text === "best" || text === "largest") return text;
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function fitChoice(text: string): Fit | undefined {
  return text === "crop" || text === "pad" ? text : undefined;
}

/** Reads values; a wrong one is told with its key and its file. */
class Reader {
  readonly #text: Readonly<Record<string, string>>;
  readonly #name: string;

  constructor(text: Readonly<Record<string, string>>, name: string) {
    this.#text = text;
    this.#name = name;
  }

  value<T>(
    key: string,
    expected: string,
    read: (text: string) => T | undefined,
  ): T | undefined {
    const text = this.#text[key];
    if (text === undefined) return undefined;
    const value = read(text);
    if (value !== undefined) return value;
    throw this.#broken(
      `${key} is ${JSON.stringify(text.slice(0, 40))}, expected ${expected}`,
    );
  }

  number(key: string): number | undefined {
    return this.value(key, "a number", finite);
  }

  boolean(key: string): boolean | undefined {
    const read = (text: string) =>
      text === "true" ? true : text === "false" ? false : undefined;
    return this.value(key, "true or false", read);
  }

  /** What is no option for the caller either. */
  checked(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof MasterWeaverError)) throw error;
      throw this.#broken(error.message);
    }
  }

  #broken(why: string): MasterWeaverError {
    return new MasterWeaverError(
      "bad-image",
      `The settings in ${this.#name} are broken: ${why}`,
    );
  }
}

/** As `String` writes numbers. */
function finite(text: string): number | undefined {
  const value = /^-?\d+(\.\d+)?(e[+-]\d+)?$/.test(text) ? Number(text) : NaN;
  return Number.isFinite(value) ? value : undefined;
}

function wholeNumber(text: string): bigint | undefined {
  return /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
}

function fractions(text: string): readonly [number, number] | undefined {
  const [from, to, ...more] = text.split(",").map(finite);
  return from === undefined || to === undefined || more.length > 0
    ? undefined
    : [from, to];
}

function storage(text: string): StorageType | undefined {
  return text === "f16" || text === "f32" ? text : undefined;
}
