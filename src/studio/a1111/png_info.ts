/**
 * Reads the settings inside an image file, as AUTOMATIC1111's "PNG Info" does.
 *
 * @module
 */
import { readJpegComment, readPngText } from "../../host/codecs/codec.ts";
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

/** The settings as that program takes them apart: by its names, a size as two. */
function parsed(info: string): Record<string, string> {
  const { text, pairs } = readParameters(info);
  const named = pairs.flatMap(([name, value]) => {
    const [, width, height] = name === "Size" && /^(\d+)x(\d+)$/.exec(value) ||
      [];
    return width === undefined
      ? [[name, value]]
      : [["Size-1", width], ["Size-2", height]];
  });
  return {
    "Prompt": text.prompt,
    "Negative prompt": text.negative_prompt,
    ...Object.fromEntries(named),
  };
}
