/**
 * Reads a request's body, within limits of size, time and depth.
 *
 * @module
 */
import { ApiError } from "../errors.ts";
import { checkJson } from "./json_limits.ts";
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
    const held = { bytes: 0 };
    try {
      const bytes = await this.#bytes(request, body, held);
      if (bytes.length === 0 && body.optional) return undefined;
      return isForm
        ? await readForm(
          bytes,
          request.headers.get("content-type")!,
          body.schema,
        )
        : await parseJson(bytes);
    } finally {
      this.#held -= held.bytes;
    }
  }

  async #bytes(
    request: Request,
    body: Body,
    held: { bytes: number },
  ): Promise<Uint8Array<ArrayBuffer>> {
    const maxBytes = Math.min(body.maxBytes ?? Infinity, this.#limits.bytes);
    const announced = Number(request.headers.get("content-length") ?? 0);
    if (announced > maxBytes) throw tooLarge(maxBytes);
    if (!request.body) return new Uint8Array();
    const { idle, total, allBytes } = this.#limits;
    const reader = request.body.getReader();
    const chunks: Uint8Array[] = [];
    const end = Date.now() + total;
    try {
      while (true) {
        const time = Math.min(idle, end - Date.now());
        const { done, value } = await within(time, reader.read());
        if (done) break;
        held.bytes += value.length;
        this.#held += value.length;
        if (held.bytes > maxBytes) throw tooLarge(maxBytes);
        if (this.#held > allBytes) throw tooMany();
        chunks.push(value);
      }
    } catch (error) {
      reader.cancel().catch(() => {});
      throw error instanceof ApiError
        ? error
        : new ApiError(400, "bad-request", "The body broke off");
    }
    const bytes = new Uint8Array(held.bytes);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }
}

async function parseJson(bytes: Uint8Array): Promise<unknown> {
  checkJson(bytes);
  await pause();
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    await pause();
    return JSON.parse(text);
  } catch {
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
