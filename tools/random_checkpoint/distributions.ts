/**
 * Random values as PyTorch's modules start with, from a seed and a tensor's
 * name: whatever else is in a file, a tensor is the same.
 *
 * @module
 */

/** Values made at once. */
const CHUNK_VALUES = 2 ** 20;

/** How a tensor's values are distributed. */
export type Distribution =
  /** Evenly from −limit to limit: `torch.nn.Linear` and `Conv2d`. */
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  | { readonly kind: "normal"; readonly mean: number; readonly std: number };

/** A tensor's name and dimensions. */
export interface TensorShape {
  /** Full path. */
  readonly name: string;
  /** PyTorch's dimensions. */
  readonly shape: readonly number[];
}

/**
 * How the tensors of a network start.
 *
 * - weights of linear layers and convolutions, and their biases: evenly within
 *   ±1/√(inputs), PyTorch's default (Kaiming with a = √5);
 * - embeddings: normal, as transformers starts CLIP, deviation 0.02;
 * - norms: 1 + 0.1 n and 0.1 n instead of 1 and 0, and running statistics
 *   likewise, so that one that is forgotten or swapped shows;
 * - what else there is: normal, deviation 1/√(last dimension).
 *
 * @param tensors all of one network: a bias is told by the weight beside it
 */
export function startingDistributions(
  tensors: readonly TensorShape[],
): (tensor: TensorShape) => Distribution {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  return ({ name, shape }) => {
    if (/embedding(\.weight)?$/.test(name) && !name.includes("patch")) {
      return { kind: "normal", mean: 0, std: 0.02 };
    }
    if (name.endsWith(".running_var")) {
      return { kind: "uniform", low: 0.5, high: 1.5 };
    }
    if (name.endsWith(".running_mean")) {
      return { kind: "normal", mean: 0, std: 0.1 };
    }
    const weight = name.endsWith(".bias")
      ? shapes.get(name.replace(/bias$/, "weight")) ?? shape
      : shape;
    if (weight.length >= 2 && /\.(weight|bias)$/.test(name)) {
      const inputs = weight.slice(1).reduce((a, b) => a * b, 1);
      const limit = 1 / Math.sqrt(inputs);
      return { kind: "uniform", low: -limit, high: limit };
    }
    if (name.endsWith(".weight")) return { kind: "normal", mean: 1, std: 0.1 };
    if (name.endsWith(".bias")) return { kind: "normal", mean: 0, std: 0.1 };
    const std = 1 / Math.sqrt(shape.at(-1) ?? 1);
    return { kind: "normal", mean: 0, std };
  };
}

/**
 * Values in chunks, in row-major order; the same every time.
 *
 * @param seed any whole number
 * @param halves whether they are rounded to f16, so that storing them as f16 loses nothing
 */
export function* randomValues(
  { name, shape }: TensorShape,
  distribution: Distribution,
  seed: number,
  halves: boolean,
): Generator<Float32Array<ArrayBuffer>> {
  const count = shape.reduce((a, b) => a * b, 1);
  const next = generator(hash(`${seed} ${name}`));
  for (let done = 0; done < count; done += CHUNK_VALUES) {
    const values = new Float32Array(Math.min(CHUNK_VALUES, count - done));
    fill(values, distribution, next);
    yield halves ? new Float32Array(new Float16Array(values)) : values;
  }
}

function fill(
  values: Float32Array,
  distribution: Distribution,
  next: () => number,
): void {
  if (distribution.kind === "uniform") {
    const { low, high } = distribution;
    for (let i = 0; i < values.length; i++) {
      values[i] = low + (high - low) * next();
    }
    return;
  }
  const { mean, std } = distribution;
  for (let i = 0; i < values.length; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    values[i] = mean + std * radius * Math.cos(2 * Math.PI * next());
  }
}

/** Numbers in 0 ≤ x < 1 from a 32-bit state (mulberry32). */
export function generator(state: number): () => number {
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    state = Math.imul(state ^ byte, 0x01000193);
  }
  return state;
}
