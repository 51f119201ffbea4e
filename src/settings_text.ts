/**
 * A picture's settings as the text chunks of its PNG, and back.
 *
 * @module
 */
import { MasterWeaverError } from "./errors.ts";
import type { Rng, Settings } from "./options.ts";
import { version } from "./version.ts";

/** What is written beside the settings. */
export interface Maker {
  /** The model's folder, as it was given. */
  readonly model: string;
  /** The model's hash. */
  readonly modelHash: string;
  /** Storage of activations. */
  readonly dtype: string;
}

/** Settings by the keys their chunks have. */
export function toText(
  settings: Settings,
  { model, modelHash, dtype }: Maker,
): Record<string, string> {
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
    dtype,
    model,
    model_hash: modelHash,
  };
}

/**
 * The settings that text chunks hold; what is absent stays absent.
 *
 * @param text chunks by key
 * @param name what messages call the file
 * @throws {MasterWeaverError} `bad-image` where it was not made here, or a value is no number
 */
export function fromText(
  text: Readonly<Record<string, string>>,
  name: string,
): Partial<Settings> {
  if (!text.software?.startsWith("masterweaver ")) {
    throw new MasterWeaverError(
      "bad-image",
      `Cannot repeat ${name}: it carries no settings; give a PNG that this command made`,
    );
  }
  const settings: Partial<Settings> = {};
  if (text.prompt !== undefined) settings.prompt = text.prompt;
  if (text.negative_prompt !== undefined) {
    settings.negativePrompt = text.negative_prompt;
  }
  const numbers = [
    ["steps", "steps"],
    ["guidanceScale", "guidance_scale"],
    ["idScale", "id_scale"],
    ["numImages", "num_images"],
    ["width", "width"],
    ["height", "height"],
    ["reuseFeatures", "reuse_features"],
    ["mergeTokens", "merge_tokens"],
    ["cudaThreads", "cuda_threads"],
  ] as const;
  for (const [setting, key] of numbers) {
    if (text[key] === undefined) continue;
    settings[setting] = finite(text[key], key, name);
  }
  if (text.seed !== undefined) {
    if (!/^-?\d{1,20}$/.test(text.seed)) throw broken("seed", text.seed, name);
    settings.seed = BigInt(text.seed);
  }
  if (text.rng !== undefined) settings.rng = text.rng as Rng;
  if (text.guidance_range !== undefined) {
    const ends = text.guidance_range.split(",")
      .map((end) => finite(end, "guidance_range", name));
    if (ends.length !== 2) {
      throw broken("guidance_range", text.guidance_range, name);
    }
    settings.guidanceRange = [ends[0], ends[1]];
  }
  return settings;
}

function finite(text: string, key: string, name: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!Number.isFinite(value)) throw broken(key, text, name);
  return value;
}

function broken(key: string, text: string, name: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-image",
    `The settings in ${name} are broken: ${key} is ${
      JSON.stringify(text.slice(0, 40))
    }, expected a number`,
  );
}
