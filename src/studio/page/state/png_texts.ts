/**
 * Reads the texts in which our own images say how they were made. The library reads every
 * kind of text chunk, with code that a page need not carry; ours are plain.
 *
 * @module
 */
import { imageFileKind } from "../../../image/signature.ts";

/** The texts of a PNG that are neither compressed nor damaged, by keyword. */
export function readPngTexts(
  file: Uint8Array<ArrayBuffer>,
): Record<string, string> {
  const texts: Record<string, string> = {};
  if (imageFileKind(file) !== "png") return texts;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 8;
  while (at + 12 <= file.length) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    const data = file.subarray(at + 8, at + 8 + length);
    if (data.length < length || type === "IEND") break;
    const [keyword, text] = readText(type, data);
    if (keyword) texts[keyword] = text;
    at += 12 + length;
  }
  return texts;
}

function readText(type: string, data: Uint8Array): [string, string] {
  const end = data.indexOf(0);
  const keyword = latin1(data.subarray(0, Math.max(end, 0)));
  if (type === "tEXt") return [keyword, latin1(data.subarray(end + 1))];
  // After the keyword: uncompressed, method 0, no language, no translation.
  const isPlain = type === "iTXt" &&
    data.subarray(end, end + 5).every((b) => b === 0);
  return isPlain
    ? [keyword, new TextDecoder().decode(data.subarray(end + 5))]
    : ["", ""];
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
