/**
 * Deltas that are added to a component's weights while they are read, such as a
 * LoRA or a trained difference.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { brief } from "./brief.ts";
import { formatShape } from "./dtype.ts";
import { weaveFloats } from "./floats.ts";
import { listed } from "./scope.ts";
import type { WeaveFile, WeaveTensor } from "./weave.ts";

/** The longest chunk of a changed weight, in bytes. */
const CHUNK_BYTES = 4 * 2 ** 20;

/** A delta of one weight. */
export interface WeightDelta {
  /** The weight's name in its file. */
  readonly name: string;
  /** The weight's shape in its file; (O, kh, kw, I) for a convolution. */
  readonly shape: readonly number[];
  /**
   * Adds the delta to a chunk of the weight.
   *
   * @param values the chunk, in row-major order; changed in place
   * @param offset where the chunk starts in the weight, in values
   */
  addTo(values: Float32Array, offset: number): void | Promise<void>;
}

/**
 * A delta with a value for every value of the weight.
 *
 * @param values as many as the weight has, in row-major order
 * @param scale what they are multiplied by
 * @throws {MasterWeaverError} `bad-option` where there are more or fewer, or the scale is not finite
 */
export function fullDelta(
  name: string,
  shape: readonly number[],
  values: Float32Array,
  scale = 1,
): WeightDelta {
  checkForm(name, shape, scale);
  expectLength(name, "values", values, count(shape));
  return {
    name,
    shape,
    addTo(chunk, offset) {
      for (let i = 0; i < chunk.length; i++) {
        chunk[i] += scale * values[offset + i];
      }
    },
  };
}

/** The factors of a low-rank matrix. */
export interface LowRank {
  /** R, columns of {@linkcode up} and rows of {@linkcode down}. */
  readonly rank: number;
  /** (R, I), I the product of all but the weight's first dimension. */
  readonly down: Float32Array;
  /** (O, R), O the weight's first dimension. */
  readonly up: Float32Array;
}

/**
 * A delta of low rank, as LoRA trains it: scale · up · down, computed row by row.
 *
 * @param scale what it is multiplied by: strength · alpha / rank for a LoRA
 * @throws {MasterWeaverError} `bad-option` where a matrix is longer or shorter, or the scale is not finite
 * @example
 * ```ts
 * import { lowRankDelta } from "./deltas.ts";
 *
 * const delta = lowRankDelta("to_q.weight", [2, 4], {
 *   rank: 1,
 *   up: Float32Array.of(1, 2),
 *   down: Float32Array.of(1, 0, 0, 1),
 * }, 0.5);
 * const weight = new Float32Array(8);
 * await delta.addTo(weight, 0);
 * console.log(weight.join(" ")); // 0.5 0 0 0.5 1 0 0 1
 * ```
 */
export function lowRankDelta(
  name: string,
  shape: readonly number[],
  { rank, down, up }: LowRank,
  scale = 1,
): WeightDelta {
  checkForm(name, shape, scale);
  const width = count(shape.slice(1));
  expectLength(name, "values of down", down, rank * width);
  expectLength(name, "values of up", up, shape[0] * rank);
  const sums = new Float64Array(width);
  return {
    name,
    shape,
    addTo(chunk, offset) {
      for (let at = 0; at < chunk.length;) {
        const row = Math.floor((offset + at) / width);
        const start = offset + at - row * width;
        const end = Math.min(width, start + chunk.length - at);
        sums.fill(0, start, end);
        for (let r = 0; r < rank; r++) {
          const factor = scale * up[row * rank + r];
          const from = r * width;
          for (let i = start; i < end; i++) sums[i] += factor * down[from + i];
        }
        for (let i = start; i < end; i++) chunk[at++] += sums[i];
      }
    },
  };
}

/**
 * A component with deltas added to its weights. Weights that have a delta are
 * read as f32 whatever the file stores, quantised or not, so that they are
 * rounded only once, after the sum. The others are read as before.
 *
 * @param file the component; its hash stays that of the file
 * @param deltas any number for each weight, added in this order
 * @throws {MasterWeaverError} `bad-model` with all unknown names and all shapes that differ
 */
export function withDeltas(
  file: WeaveFile,
  deltas: readonly WeightDelta[],
): WeaveFile {
  checkDeltas(file, deltas);
  const byName = Map.groupBy(deltas, ({ name }) => name);
  const tensors = new Map(file.tensors);
  for (const [name, own] of byName) {
    tensors.set(name, changed(tensors.get(name)!, own));
  }
  return { ...file, tensors };
}

function checkDeltas(
  file: WeaveFile,
  deltas: readonly WeightDelta[],
): void {
  const unknown = new Set<string>();
  const misshapen: string[] = [];
  for (const { name, shape } of deltas) {
    const tensor = file.tensors.get(name);
    if (!tensor) unknown.add(brief(name));
    else if (tensor.dtype === "i32" || tensor.dtype === "u8") {
      misshapen.push(`${name} holds ${tensor.dtype}, not weights`);
    } else if (`${tensor.shape}` !== `${shape}`) {
      misshapen.push(
        `${name} is ${formatShape(tensor.shape)}, its delta ${
          formatShape(shape)
        }`,
      );
    }
  }
  const faults = [
    listed("unknown", [...unknown]),
    listed("misshapen", misshapen),
  ].filter((fault) => fault !== "");
  if (faults.length === 0) return;
  throw new MasterWeaverError(
    "bad-model",
    `Cannot change the weights of ${file.name}: its tensors are not those the deltas are for: ${
      faults.join("; ")
    }; give deltas that were made for this model`,
  );
}

/** A weight as f32, with its deltas added. */
function changed(
  tensor: WeaveTensor,
  deltas: readonly WeightDelta[],
): WeaveTensor {
  const { name, shape } = tensor;
  return {
    name,
    shape,
    dtype: "f32",
    bytes: 4 * count(shape),
    async *chunks(maxBytes = CHUNK_BYTES) {
      const step = Math.max(64, Math.floor(maxBytes / 256) * 64);
      let offset = 0;
      for await (const read of weaveFloats(tensor)) {
        for (let at = 0; at < read.length; at += step) {
          // A copy: what was read may be the source's own memory.
          const values = read.slice(at, at + step);
          for (const delta of deltas) await delta.addTo(values, offset);
          offset += values.length;
          yield new Uint8Array(values.buffer);
        }
      }
    },
  };
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Refuses a weight without a dimension, and a scale that is no number. */
function checkForm(
  name: string,
  shape: readonly number[],
  scale: number,
): void {
  const wrong = shape.length === 0
    ? "its shape is [], expected at least one dimension"
    : !Number.isFinite(scale)
    ? `its scale is ${scale}, expected a finite number`
    : undefined;
  if (wrong === undefined) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot make a delta for ${brief(name)}: ${wrong}`,
  );
}

function expectLength(
  name: string,
  what: string,
  { length }: Float32Array,
  expected: number,
): void {
  if (length === expected) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot make a delta for ${brief(name)}: it has ${length} ${what}, ` +
      `expected ${expected}`,
  );
}
