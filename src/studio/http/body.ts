/**
 * Reads a request's body, within limits of size, time and depth.
 *
 * @module
 */
import { ApiError } from "../errors.ts";
import { JsonLimits } from "./json_limits.ts";
import { readForm } from "./multipart.ts";
import type { Body } from "./operation.ts";
import { pause } from "./pause.ts";

/** Limits of bodies. */
export interface BodyLimits {
  /** Bytes of one; its operation may have a lower limit. */
  readonly bytes: number;
  /** Bytes of all that are read at a time. */
  readonly allBytes: number;
  /** Milliseconds between two parts of one. */
  readonly idle: number;
  /** Milliseconds for all of one. */
  readonly total: number;
}

/** Three photos of 20 MB in base64, and text. */
export const bodyLimits: BodyLimits = {
  bytes: 84_000_000,
  allBytes: 512_000_000,
  idle: 15_000,
  total: 300_000,
};

/** Reads bodies; all that share one share its room. */
export class BodyReader {
  readonly #limits: BodyLimits;
  #held = 0;

  /** A reader with nothing read. */
  constructor(limits: BodyLimits = bodyLimits) {
    this.#limits = limits;
  }

  /**
   * Reads a body as JSON.
   *
   * @returns undefined where it is left out and may be
   * @throws {ApiError} 400 `bad-request`, 413 `too-large`, 415 `unsupported-type`, 408 `timeout`
   */
  async read(request: Request, body: Body): Promise<unknown> {
    const type = mediaType(request);
    const isForm = type === "multipart/form-data" && body.multipart === true;
    // A page of another site can send other types without asking first.
    const isKnown = isForm || type === "application/json";
    const isEmpty = request.body === null ||
      request.headers.get("content-length") === "0";
    if (isEmpty && body.optional) return undefined;
    if (!isKnown) {
      throw new ApiError(
        415,
        "unsupported-type",
        `The body must be application/json${
          body.multipart ? " or multipart/form-data" : ""
        }, got ${type.slice(0, 60) || "no content-type"}`,
      );
    }
    const maxBytes = Math.min(body.maxBytes ?? Infinity, this.#limits.bytes);
    if (announced(request) > maxBytes) throw tooLarge(maxBytes);
    const held = { bytes: 0 };
    try {
      const chunks = this.#chunks(request, maxBytes, held);
      if (!isForm) return await readJson(chunks, body);
      const bytes = await collected(chunks, announced(request));
      const type = request.headers.get("content-type")!;
      return await readForm(bytes, type, body.schema);
    } finally {
      this.#held -= held.bytes;
    }
  }

  /** A body as it comes. */
  async *#chunks(
    request: Request,
    maxBytes: number,
    held: { bytes: number },
  ): AsyncGenerator<Uint8Array, void> {
    const { idle, total, allBytes } = this.#limits;
    if (!request.body) return;
    const reader = request.body.getReader();
    const end = Date.now() + total;
    try {
      while (true) {
        const time = Math.min(idle, end - Date.now());
        const { done, value } = await within(time, reader.read());
        if (done) return;
        held.bytes += value.length;
        this.#held += value.length;
        if (held.bytes > maxBytes) throw tooLarge(maxBytes);
        if (this.#held > allBytes) throw tooMany();
        yield value;
      }
    } catch (error) {
      throw error instanceof ApiError
        ? error
        : new ApiError(400, "bad-request", "The body broke off");
    } finally {
      // Whatever the reason, nobody reads the rest.
      reader.cancel().catch(() => {});
    }
  }
}

/** The length that a request says its body has; 0 where it does not. */
function announced({ headers }: Request): number {
  const length = Number(headers.get("content-length") ?? 0);
  return Number.isSafeInteger(length) ? Math.max(length, 0) : 0;
}

/** All of a body in one; the length is the one that was announced, 0 for none. */
async function collected(
  chunks: AsyncIterable<Uint8Array>,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  // What is only announced takes no memory: it may never come.
  let bytes = new Uint8Array();
  let end = 0;
  for await (const chunk of chunks) {
    const needed = end + chunk.length;
    if (needed > bytes.length) {
      const isRest = needed <= length && length < 2 * needed;
      const larger = new Uint8Array(isRest ? length : 2 * needed);
      larger.set(bytes.subarray(0, end));
      bytes = larger;
    }
    bytes.set(chunk, end);
    end += chunk.length;
  }
  return bytes.subarray(0, end);
}

/** Reads JSON; undefined where there is none and need not be. */
async function readJson(
  chunks: AsyncIterable<Uint8Array>,
  { optional }: Body,
): Promise<unknown> {
  const limits = new JsonLimits();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  try {
    for await (const chunk of chunks) {
      limits.take(chunk);
      text += decoder.decode(chunk, { stream: true });
    }
    text += decoder.decode();
    if (text === "" && optional) return undefined;
    await pause();
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(400, "bad-request", "The body is not JSON in UTF-8");
  } finally {
    await pause();
  }
}

/** A promise's result, unless it takes longer than some milliseconds. */
async function within<T>(milliseconds: number, result: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() =>
    late.reject(
      new ApiError(408, "timeout", "The body came too slowly; send it again"),
    ), Math.max(milliseconds, 0));
  try {
    return await Promise.race([result, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function mediaType({ headers }: Request): string {
  return (headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
}

function tooLarge(most: number): ApiError {
  return new ApiError(
    413,
    "too-large",
    `The body has more than ${most} bytes, which is the most here; give smaller photos`,
  );
}

function tooMany(): ApiError {
  return new ApiError(
    503,
    "queue-full",
    "Too many uploads at a time; try again later",
    { retryAfter: 10 },
  );
}
