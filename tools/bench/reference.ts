/**
 * What ops are timed on, and what must come out of them: values in f64, one
 * element at a time, of a sample.
 *
 * @module
 */
import { elementCount } from "../../src/ops/op.ts";
import { nmse } from "../compare/measures.ts";
import { generator } from "../random_checkpoint/distributions.ts";
import {
  type Attention,
  EPS,
  inputsOf,
  type Norm,
  outputOf,
  type Product,
  type Work,
} from "./work.ts";

/** Elements that are compared. */
const SAMPLE = 256;

/** Values of each input, in order; the same on every run. */
export function makeValues(work: Work): Float32Array<ArrayBuffer>[] {
  return inputsOf(work).map(({ shape, scale }, i) => {
    const next = uniform(i + 1);
    // Uniform, of variance 1.
    const width = 2 * Math.sqrt(3) * scale;
    return Float32Array.from(
      { length: elementCount(shape) },
      () => (next() - 0.5) * width,
    );
  });
}

/** As f16 stores them. */
export function halved(values: Float32Array): Float32Array<ArrayBuffer> {
  return new Float32Array(new Float16Array(values));
}

/** Numbers in [0, 1). */
function uniform(seed: number): () => number {
  return generator(Math.imul(seed, 0x9e3779b1));
}

/** What some elements of a result must be. */
export interface Expected {
  /** Their indices: spread over all of it. */
  readonly indices: readonly number[];
  /** Their values, in f64. */
  readonly values: readonly number[];
}

/**
 * Computes a sample of an op's result in f64.
 *
 * @param inputs values as they are stored, in the order of {@linkcode inputsOf}
 */
export function expected(
  work: Work,
  inputs: readonly Float32Array[],
): Expected {
  const total = elementCount(outputOf(work));
  const next = uniform(99);
  const indices = total <= SAMPLE
    ? [...Array(total).keys()]
    : Array.from({ length: SAMPLE }, () => Math.floor(next() * total))
      .with(0, 0).with(-1, total - 1);
  return {
    indices,
    values: indices.map((index) => element(work, inputs, index)),
  };
}

/**
 * NMSE of a result's sample: Σ(a−b)² / Σb².
 *
 * @param result all of it, channels last
 */
export function sampleError(
  { indices, values }: Expected,
  result: ArrayLike<number>,
): number {
  return nmse(indices.map((index) => result[index]), values);
}

function element(
  work: Work,
  inputs: readonly Float32Array[],
  index: number,
): number {
  switch (work.kind) {
    case "linear":
    case "conv":
      return convolved(work, inputs, index);
    case "attention":
      return attended(work, inputs, index);
    default:
      return normed(work, inputs, index);
  }
}

function convolved(
  { side, channels, out, kernel }: Product,
  [x, weight]: readonly Float32Array[],
  index: number,
): number {
  const o = index % out;
  const pixel = Math.floor(index / out);
  const column = pixel % side;
  const row = Math.floor(pixel / side) % side;
  const image = Math.floor(pixel / side / side);
  let sum = 0;
  for (let i = 0; i < kernel; i++) {
    for (let j = 0; j < kernel; j++) {
      const y = row + i - (kernel >> 1);
      const z = column + j - (kernel >> 1);
      if (y < 0 || z < 0 || y >= side || z >= side) continue;
      const from = ((image * side + y) * side + z) * channels;
      const w = ((o * kernel + i) * kernel + j) * channels;
      for (let c = 0; c < channels; c++) sum += x[from + c] * weight[w + c];
    }
  }
  return sum;
}

function attended(
  { queries, keys, heads, width }: Attention,
  [q, k, v]: readonly Float32Array[],
  index: number,
): number {
  const channels = heads * width;
  const channel = index % channels;
  const query = index - channel;
  const image = Math.floor(index / channels / queries) * keys * channels;
  const head = channel - channel % width;
  const scores = Array.from({ length: keys }, (_, s) => {
    const key = image + s * channels + head;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += q[query + head + i] * k[key + i];
    return sum / Math.sqrt(width);
  });
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  let total = 0;
  let sum = 0;
  scores.forEach((score, s) => {
    const weight = Math.exp(score - most);
    total += weight;
    sum += weight * v[image + s * channels + channel];
  });
  return sum / total;
}

function normed(
  { kind, side, channels, groups }: Norm,
  [x, weight, bias]: readonly Float32Array[],
  index: number,
): number {
  const c = index % channels;
  const image = side * side * channels;
  const width = channels / groups;
  const first = Math.floor(index / image) * image + c - c % width;
  const members = Array.from(
    { length: side * side * width },
    (_, i) => x[first + Math.floor(i / width) * channels + i % width],
  );
  const mean = members.reduce((sum, v) => sum + v, 0) / members.length;
  const variance = members.reduce((sum, v) => sum + (v - mean) ** 2, 0) /
    members.length;
  const y = (x[index] - mean) / Math.sqrt(variance + EPS) * weight[c] + bias[c];
  return kind === "layer norm" ? y : y / (1 + Math.exp(-y));
}
