/**
 * Encodes a stream of f32 values as a `*.weave` tensor's bytes, and measures
 * what that loses.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { badCheckpoint } from "./checkpoint.ts";
import type { WeaveDtype } from "../weights/dtype.ts";
import { MAX_F16, roundToHalf } from "./half.ts";
import { quantise, type QuantisedDtype } from "../weights/quantise.ts";

/** What storing values lost; grows while tensors are encoded. */
export class StorageLoss {
  /** The largest |stored − original| of values that were rounded to f16. */
  maxRoundingError = 0;
  #squaredError = 0;
  #squares = 0;

  /** Adds the loss of a quantised chunk. */
  addQuantised(squaredError: number, values: Float32Array): void {
    this.#squaredError += squaredError;
    for (const value of values) this.#squares += value * value;
  }

  /** Σ (stored − original)² / Σ original² over all quantised tensors. */
  get quantisedNmse(): number {
    return this.#squares === 0 ? 0 : this.#squaredError / this.#squares;
  }
}

/** Names a tensor in messages. */
export interface TensorPlace {
  /** The file it is read from. */
  readonly file: string;
  /** Its name. */
  readonly name: string;
}

/** A stream of values; for quantised types chunks of whole blocks of 32. */
export type FloatChunks = AsyncIterable<Float32Array<ArrayBuffer>>;

/**
 * Encodes a tensor's values.
 *
 * @param place what messages call the tensor
 * @param dtype a floating-point or quantised type
 * @param chunks its values in the order they are stored
 * @param loss is increased by what was lost
 * @throws {MasterWeaverError} `bad-checkpoint` where a value is not finite, or too large for the type
 */
export function encodeFloats(
  place: TensorPlace,
  dtype: WeaveDtype,
  chunks: FloatChunks,
  loss: StorageLoss,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const finite = onlyFinite(place, chunks);
  switch (dtype) {
    case "f32":
      return encodeSingles(finite);
    case "f16":
      return encodeHalves(place, finite, loss);
    case "q8":
    case "q4":
      return encodeBlocks(place, dtype, finite, loss);
  }
  throw new RangeError(`Cannot encode floating-point values as ${dtype}`);
}

/** The error of values that no network can compute with. */
export function notFinite(file: string, name: string): Error {
  return badCheckpoint(
    file,
    `tensor ${
      brief(name)
    }: it holds values that are infinite or not a number; the file is damaged, or its training failed`,
  );
}

async function* onlyFinite(
  { file, name }: TensorPlace,
  chunks: FloatChunks,
): FloatChunks {
  for await (const values of chunks) {
    if (!values.every(Number.isFinite)) throw notFinite(file, name);
    yield values;
  }
}

async function* encodeSingles(chunks: FloatChunks) {
  for await (const { buffer, byteOffset, byteLength } of chunks) {
    yield new Uint8Array(buffer, byteOffset, byteLength);
  }
}

async function* encodeHalves(
  { file, name }: TensorPlace,
  chunks: FloatChunks,
  loss: StorageLoss,
) {
  let tooLarge = 0;
  for await (const values of chunks) {
    const { halves, overflows, maxError } = roundToHalf(values);
    tooLarge += overflows;
    loss.maxRoundingError = Math.max(loss.maxRoundingError, maxError);
    yield new Uint8Array(halves.buffer);
  }
  if (tooLarge > 0) {
    throw badCheckpoint(
      file,
      `tensor ${
        brief(name)
      }: ${tooLarge} of its values are over ${MAX_F16}, too large for f16; ` +
        "convert with --dtype f32",
    );
  }
}

/** All quants, then all scales, then zeros up to a multiple of four bytes. */
async function* encodeBlocks(
  { file, name }: TensorPlace,
  dtype: QuantisedDtype,
  chunks: FloatChunks,
  loss: StorageLoss,
) {
  const scales: Float16Array[] = [];
  for await (const values of chunks) {
    const block = quantise(values, dtype);
    if (!block.scales.every(Number.isFinite)) {
      throw badCheckpoint(
        file,
        `tensor ${
          brief(name)
        }: some of its values are too large for ${dtype}; convert with --dtype f32`,
      );
    }
    loss.addQuantised(block.squaredError, values);
    scales.push(block.scales);
    yield block.quants;
  }
  const blocks = scales.reduce((sum, { length }) => sum + length, 0);
  const all = new Float16Array(Math.ceil(blocks / 2) * 2);
  let at = 0;
  for (const chunk of scales) {
    all.set(chunk, at);
    at += chunk.length;
  }
  yield new Uint8Array(all.buffer);
}
