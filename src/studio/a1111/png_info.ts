/**
 * Reads the settings inside an image file, as AUTOMATIC1111's "PNG Info" does.
 *
 * @module
 */
import { readJpegComment, readPngText } from "../../host/codecs/codec.ts";
import { imageFileKind } from "../../image/signature.ts";
import { readParameters, SAMPLER } from "../../options/parameters_text.ts";

/** What an image file says of itself. */
export interface PngInfo {
  /** The text of its settings; empty where there is none. */
  readonly info: string;
  /** Its other texts. */
  readonly items: Readonly<Record<string, string>>;
  /** The settings by that program's names. */
  readonly parameters: Readonly<Record<string, string | number>>;
}

/** Reads a PNG or JPEG file; what has no settings gives none. */
export function pngInfo(file: Uint8Array): PngInfo {
  const { parameters: info = "", ...items } = textsOf(file);
  return { info, items, parameters: info === "" ? {} : parsed(info) };
}

function textsOf(file: Uint8Array): Record<string, string> {
  if (imageFileKind(file) === "png") return readPngText(file);
  const comment = readJpegComment(file);
  return comment === undefined ? {} : { parameters: comment };
}

/** That program's names of our keys. */
const names: Readonly<Record<string, string>> = {
  prompt: "Prompt",
  negative_prompt: "Negative prompt",
  steps: "Steps",
  sampler: "Sampler",
  guidance_scale: "CFG scale",
  seed: "Seed",
  width: "Size-1",
  height: "Size-2",
  model_hash: "Model hash",
  model: "Model",
  rng: "RNG",
  software: "Version",
};

function parsed(info: string): Record<string, string> {
  const { text, others } = readParameters(info);
  const sampler = text.steps === undefined ? {} : { sampler: SAMPLER };
  const named = Object.entries({ ...sampler, ...text }).map((
    [key, value],
  ) => [Object.hasOwn(names, key) ? names[key] : key, value] as const);
  return Object.fromEntries([...named, ...others]);
}
