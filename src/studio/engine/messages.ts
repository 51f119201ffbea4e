/**
 * What the server and its Workers send each other: calls, what they report, and
 * how they end.
 *
 * @module
 */
import { type ErrorCode, MasterWeaverError } from "../../base/errors.ts";
import type { Image } from "../../image/image.ts";

/** One kind of call: what goes in, what is reported meanwhile, and what comes out. */
export interface CallType {
  /** What goes in. */
  readonly input: unknown;
  /** What is reported while it runs. */
  readonly event: unknown;
  /** What comes out. */
  readonly output: unknown;
}

/** What a Worker can be asked, by name. */
export type CallTypes = Readonly<Record<string, CallType>>;

/** What is sent to a Worker. */
export type ToWorker =
  /** Comes first, and once. */
  | { readonly type: "start"; readonly setup: unknown }
  | {
    readonly type: "call";
    readonly id: number;
    readonly name: string;
    readonly input: unknown;
  }
  | { readonly type: "abort"; readonly id: number }
  /** Asks whether it still lives. */
  | { readonly type: "ping" };

/** What a Worker sends. */
export type FromWorker =
  | { readonly type: "pong" }
  | { readonly type: "event"; readonly id: number; readonly event: unknown }
  | { readonly type: "result"; readonly id: number; readonly output: unknown }
  | { readonly type: "error"; readonly id: number; readonly error: SentError };

/** An error as it is sent: a message between threads keeps no class. */
export type SentError =
  | {
    readonly kind: "masterweaver";
    readonly code: ErrorCode;
    readonly message: string;
  }
  /** A bug: the message has the stack. */
  | { readonly kind: "other"; readonly message: string };

/** An error, to be sent. */
export function toSent(error: unknown): SentError {
  if (error instanceof MasterWeaverError) {
    const { code, message } = error;
    return { kind: "masterweaver", code, message };
  }
  const message = error instanceof Error
    ? error.stack ?? error.message
    : String(error);
  return { kind: "other", message };
}

/** The error that was sent. */
export function fromSent(sent: SentError): Error {
  return sent.kind === "masterweaver"
    ? new MasterWeaverError(sent.code, sent.message)
    : new Error(`A Worker failed: ${sent.message}`);
}

/** The memory of images' pixels, to be handed over rather than copied. */
export function pixelBuffers(images: readonly Image[]): ArrayBuffer[] {
  return images.flatMap(({ data: { buffer } }) =>
    buffer instanceof ArrayBuffer ? [buffer] : []
  );
}
