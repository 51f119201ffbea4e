/**
 * Splits a body of `multipart/form-data` (RFC 7578) into its fields. `Response`
 * can do that, too, but all at once: 60 MB would keep the server from all else
 * for a quarter of a second, and health is to answer within a tenth.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ApiError } from "../errors.ts";

/** A field of a form. */
export interface FormPart {
  /** The field's name. */
  readonly name: string;
  /** What it holds: the bytes of a file, or a text. */
  readonly value: string | Uint8Array<ArrayBuffer>;
}

/** No form needs more fields, and no field a longer head. */
const MAX_FIELDS = 64, MAX_HEAD = 8192;

const LINE_END = "\r\n", HEAD_END = "\r\n\r\n", LAST = "--";

/**
 * Splits a form, a field whenever one is asked for.
 *
 * @returns its fields in their order; bytes are views
 * @throws {ApiError} 400 `bad-request`
 */
export function* formParts(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
): Generator<FormPart, void> {
  const delimiter = `--${boundaryOf(contentType)}`;
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let count = 0;
  let at = startOf(body, delimiter);
  while (body.toString("latin1", at, at + LAST.length) !== LAST) {
    if (++count > MAX_FIELDS) {
      throw bad(`The form has more than ${MAX_FIELDS} fields`);
    }
    const headStart = body.indexOf(LINE_END, at, "latin1");
    const headEnd = body.indexOf(HEAD_END, headStart, "latin1");
    const end = body.indexOf(
      LINE_END + delimiter,
      // The end of the head may be that of an empty field, too.
      headEnd + LINE_END.length,
      "latin1",
    );
    const isWhole = headStart >= 0 && headEnd >= 0 && end >= 0 &&
      headEnd - headStart <= MAX_HEAD;
    if (!isWhole) throw bad("The body is not multipart/form-data");
    const head = body.toString("utf8", headStart, headEnd);
    const start = headEnd + HEAD_END.length;
    yield partOf(head, bytes.subarray(start, Math.max(start, end)));
    at = end + LINE_END.length + delimiter.length;
  }
}

function boundaryOf(contentType: string): string {
  const [, quoted, plain] =
    /;\s*boundary=(?:"([^"]{1,70})"|([^\s";]{1,70}))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw bad("The form has no boundary");
  return boundary;
}

/** Where the first delimiter ends. */
function startOf(body: Buffer, delimiter: string): number {
  const isFirst = body.toString("latin1", 0, delimiter.length) === delimiter;
  const at = isFirst ? 0 : body.indexOf(LINE_END + delimiter, 0, "latin1");
  if (at < 0) throw bad("The body is not multipart/form-data");
  return at + delimiter.length + (isFirst ? 0 : LINE_END.length);
}

function partOf(head: string, content: Uint8Array<ArrayBuffer>): FormPart {
  const [, disposition = ""] =
    /\r\ncontent-disposition:\s*form-data([^\r\n]*)/i.exec(head) ?? [];
  const [, quoted, plain] =
    /;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))/i.exec(disposition) ?? [];
  const name = quoted?.replace(/\\(.)/g, "$1").replace(
    /%22|%0d|%0a/gi,
    decodeURIComponent,
  ) ?? plain;
  if (name === undefined) throw bad("A field of the form has no name");
  const isFile = /;\s*filename\*?=/i.test(disposition);
  return { name, value: isFile ? content : new TextDecoder().decode(content) };
}

function bad(message: string): ApiError {
  return new ApiError(400, "bad-request", message);
}
