/**
 * The one way for a weight from its file to the GPU: it is read in chunks,
 * dequantised and converted to the storage type it has there where that differs,
 * and handed over to be laid out. Deltas are added before that: see `deltas.ts`.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { weaveFloats } from "./floats.ts";
import type { QuantisedDtype } from "./quantise.ts";
import type { WeaveTensor } from "./weave.ts";

/** Types that weights are stored as on the GPU. */
export type WeightDtype = "f32" | "f16" | QuantisedDtype;

/** A chunk of a weight, ready to be laid out. */
export interface WeightChunk {
  /** Values of the GPU's storage type, in row-major order. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many of the {@linkcode WeaveTensor.bytes} were read for it. */
  readonly read: number;
}

/**
 * Streams a weight, at most 8 MiB at once.
 *
 * @param tensor as the file has it
 * @param stored its storage type on the GPU: quantised only where the file's is the same
 * @throws {MasterWeaverError} `bad-model` where it is damaged, or cannot be converted to that; `cannot-read`
 * @example
 * ```ts
 * import { weightChunks } from "./source.ts";
 * import type { WeaveTensor } from "./weave.ts";
 *
 * async function upload(tensor: WeaveTensor, write: (bytes: Uint8Array) => void) {
 *   for await (const { bytes } of weightChunks(tensor, "f16")) write(bytes);
 * }
 * ```
 */
export async function* weightChunks(
  tensor: WeaveTensor,
  stored: WeightDtype,
): AsyncGenerator<WeightChunk> {
  const { name, dtype } = tensor;
  if (dtype === stored) {
    for await (const bytes of tensor.chunks()) {
      yield { bytes, read: bytes.byteLength };
    }
    return;
  }
  if (dtype === "i32" || dtype === "u8" || stored === "q8" || stored === "q4") {
    throw new MasterWeaverError(
      "bad-model",
      `Weight ${name} is stored as ${dtype}, expected ${
        stored === "q8" || stored === "q4" ? stored : "f32, f16, q8 or q4"
      }`,
    );
  }
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  const bytesPerValue = tensor.bytes / count;
  let read = 0;
  let values = 0;
  for await (const chunk of weaveFloats(tensor)) {
    const before = read;
    values += chunk.length;
    // Scales count as if they were beside their values.
    read = Math.round(values * bytesPerValue);
    const { buffer } = stored === "f16" ? new Float16Array(chunk) : chunk;
    yield { bytes: new Uint8Array(buffer), read: read - before };
  }
}
