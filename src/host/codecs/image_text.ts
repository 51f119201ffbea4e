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
import { fromParameters, isOwnText } from "../../options/parameters_text.ts";
import { brief } from "../../weights/brief.ts";

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
      `The text ${brief(keyword)} in ${name} is ignored: it is ${why}`
    );
    if (!isOwnText(text)) return { text: ownText(text), warnings };
    return { text, warnings: [...warnings, ...contradictions(text, name)] };
  }
  if (kind === "jpeg") {
    if (summarizeJpeg(bytes).end === undefined) throw cutOff(name);
    const parameters = readJpegComment(bytes);
    const text = parameters === undefined ? {} : ownText({ parameters });
    return { text, warnings: [] };
  }
  throw unusable(name, `it looks like ${kind.is}`);
}

/** Says where `parameters` differs from our own chunks, as after an edit. */
function contradictions(text: ImageText["text"], name: string): string[] {
  if (text.parameters === undefined) return [];
  const said = fromParameters(text.parameters);
  const keys = Object.keys(said).filter((key) =>
    text[key] !== undefined && stored(said[key]) !== stored(text[key])
  );
  return keys.length === 0 ? [] : [
    `The text parameters in ${name} says another ${
      keys.join(", ")
    } than the file's own texts: those are used`,
  ];
}

/** A text as a chunk holds it: other chunks may keep what this one cannot. */
function stored(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
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
