/**
 * Reads the text of an image file that says how it was made.
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

/** The text in an image file. */
export interface ImageText {
  /**
   * A PNG's text chunks by key, or our own chunks where a PNG's `parameters` or
   * a JPEG's comment holds them. Another program's text stays `parameters`.
   */
  readonly text: Readonly<Record<string, string>>;
  /** What was ignored and why, a line each. */
  readonly warnings: readonly string[];
}

/**
 * Reads the text of an image to repeat.
 *
 * @param bytes the whole file
 * @param name what messages call it
 * @throws {MasterWeaverError} `bad-image` where it is not a PNG or JPEG, or is cut off
 */
export function parseImageText(bytes: Uint8Array, name: string): ImageText {
  if (bytes.length === 0) throw unusable(name, "it is empty (0 bytes)");
  const kind = fileKind(bytes);
  if (kind === "png") {
    const { text, ignored, isCut } = inspectPngText(bytes);
    if (isCut) throw cutOff(name);
    const warnings = ignored.map(({ keyword, why }) =>
      `The text ${keyword} in ${name} is ignored: it is ${why}`
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

/** Our own chunks where `parameters` holds them, else the chunks unchanged. */
function ownText(text: ImageText["text"]): ImageText["text"] {
  const own = fromParameters(text.parameters ?? "");
  return isOwnText(own) ? own : text;
}

function cutOff(name: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-image",
    `Cannot repeat ${name}: it is cut off, so settings may be missing; copy or download it again`,
  );
}

function unusable(name: string, why: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-image",
    `Cannot repeat ${name}: ${why}; give a PNG or JPEG that this command made`,
  );
}
