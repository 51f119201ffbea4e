/**
 * What an image file says of its making, and what of it cannot be read.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { readJpegComment } from "./codec.ts";
import { fileKind } from "./file_kind.ts";
import { summarizeJpeg } from "./jpeg_segments.ts";
import { inspectPngText } from "./png_text.ts";
import { fromParameters } from "../../options/parameters_text.ts";
import { isOwnText } from "../../options/settings_text.ts";

/** The words in an image file. */
export interface ImageText {
  /**
   * A PNG's text chunks by key, or those that its `parameters`, or a JPEG's
   * comment, make up. What another program wrote stays `parameters`.
   */
  readonly text: Readonly<Record<string, string>>;
  /** What was passed over and why, a line each. */
  readonly warnings: readonly string[];
}

/**
 * Reads the words of an image that shall be repeated.
 *
 * @param bytes the whole file
 * @param name what messages call it
 * @throws {MasterWeaverError} `bad-image` where it is no PNG or JPEG, or is cut off
 */
export function readImageWords(bytes: Uint8Array, name: string): ImageText {
  if (bytes.length === 0) throw unusable(name, "it is empty (0 bytes)");
  const kind = fileKind(bytes);
  if (kind === "png") {
    const { text, passedOver, isCut } = inspectPngText(bytes);
    if (isCut) throw cutOff(name);
    const warnings = passedOver.map(({ keyword, why }) =>
      `The text ${keyword} in ${name} is passed over: it is ${why}`
    );
    return { text: isOwnText(text) ? text : ownText(text), warnings };
  }
  if (kind === "jpeg") {
    if (summarizeJpeg(bytes).end === undefined) throw cutOff(name);
    const parameters = readJpegComment(bytes);
    const text = parameters === undefined ? {} : ownText({ parameters });
    return { text, warnings: [] };
  }
  throw unusable(name, `it looks like ${kind.is}`);
}

/** Our own chunks where `parameters` holds them, else the chunks as they are. */
function ownText(text: ImageText["text"]): ImageText["text"] {
  const own = fromParameters(text.parameters ?? "");
  return isOwnText(own) ? own : text;
}

function cutOff(name: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-image",
    `Cannot repeat ${name}: it is cut off, so that settings may be missing; copy or download it again`,
  );
}

function unusable(name: string, why: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-image",
    `Cannot repeat ${name}: ${why}; give a PNG or JPEG that this command made`,
  );
}
