/**
 * Standard output and error, whatever they are connected to: a reader may go
 * away, a disk may be full.
 *
 * @module
 */
import { write, writeSync } from "node:fs";
import { promisify } from "node:util";
import { MasterWeaverError } from "../base/errors.ts";
import { reason, systemName } from "./reasons.ts";

/** File descriptors: unlike Node's streams, these keep nothing for later. */
export const STDOUT = 1, STDERR = 2;

/** The reader of standard output has gone away. */
let outIsClosed = false;
/** A line could not be written to standard error; later ones are not tried. */
let errIsBroken = false;

const encoder = new TextEncoder();
const writeSome = promisify(write);

/**
 * Writes a text to standard output; does nothing once its reader has gone away.
 *
 * @throws {MasterWeaverError} `cannot-write` where it fails otherwise
 */
export function print(text: string): void {
  if (outIsClosed) return;
  try {
    writeAll(STDOUT, encoder.encode(text));
  } catch (error) {
    failOut(error);
  }
}

/**
 * Writes bytes to standard output as {@linkcode print} does.
 *
 * @throws {MasterWeaverError} `cannot-write`
 */
export async function printBytes(bytes: Uint8Array): Promise<void> {
  try {
    for (let done = 0; done < bytes.length && !outIsClosed;) {
      try {
        done += (await writeSome(STDOUT, bytes.subarray(done))).bytesWritten;
      } catch (error) {
        if (systemName(error) !== "EAGAIN") throw error;
        await new Promise((resume) => setTimeout(resume, 5));
      }
    }
  } catch (error) {
    failOut(error);
  }
}

/** Writes a text to standard error; never fails, since nothing depends on it. */
export function writeStderr(text: string): void {
  if (errIsBroken) return;
  try {
    writeAll(STDERR, encoder.encode(text));
  } catch {
    errIsBroken = true;
  }
}

function failOut(error: unknown): void {
  if (systemName(error) === "EPIPE") {
    outIsClosed = true;
    return;
  }
  throw new MasterWeaverError(
    "cannot-write",
    `Cannot write to standard output: ${reason(error)}`,
    { cause: error },
  );
}

/** A pipe may take only some of the bytes; a non-blocking one may take none yet. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(descriptor, bytes.subarray(done));
    } catch (error) {
      if (systemName(error) !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
