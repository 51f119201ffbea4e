/**
 * Reads the settings inside an image file, as AUTOMATIC1111's "PNG Info" does.
 *
 * @module
 */
import { readJpegComment } from "../../host/codecs/codec.ts";
import { firstTextChunks, pngTexts } from "../../host/codecs/png_text.ts";
import { imageFileKind } from "../../image/signature.ts";
import { readParameters } from "../../options/parameters_text.ts";

/** What an image file says of itself. */
export interface PngInfo {
  /** The text of its settings; empty where there is none. */
  readonly info: string;
  /** Its other texts. */
  readonly items: Readonly<Record<string, string>>;
  /** The settings by that program's names. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The most texts that are read, for these hold up the server. */
const MOST_TEXTS = 64;
/** The most bytes of a file's texts: other programs keep whole workflows there. */
const MAX_TEXT = 2 ** 20;
/** The longest text that is taken apart; settings have a few thousand characters. */
const MAX_SETTINGS = 2 ** 16;

/** Reads a PNG or JPEG file; what has no settings, or more than any have, gives none. */
export function pngInfo(file: Uint8Array): PngInfo {
  const { parameters: info = "", ...items } = textsOf(file);
  const isSettings = info !== "" && info.length <= MAX_SETTINGS;
  return { info, items, parameters: isSettings ? parsed(info) : {} };
}

function textsOf(file: Uint8Array): Record<string, string> {
  if (imageFileKind(file) === "png") {
    const limits = { count: MOST_TEXTS, bytes: MAX_TEXT };
    const chunks = firstTextChunks(file, limits);
    return Object.fromEntries(
      pngTexts(chunks, undefined, undefined, MAX_TEXT),
    );
  }
  const comment = readJpegComment(file);
  return comment === undefined ? {} : { parameters: comment };
}

/** The settings as that program takes them apart: by its names, a size as two. */
function parsed(info: string): Record<string, string> {
  const { text, pairs } = readParameters(info);
  const named = pairs.flatMap(([name, value]) => {
    const [, width, height] = /^(\d+)x(\d+)$/.exec(value) ?? [];
    return width === undefined
      ? [[name, value]]
      : [[`${name}-1`, width], [`${name}-2`, height]];
  });
  return {
    "Prompt": text.prompt,
    "Negative prompt": text.negative_prompt,
    ...Object.fromEntries(named),
  };
}
