/**
 * What one training step is given, with every random draw made.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";

/** A reference of a sample, or what the vision tower made of it before. */
export type ReferenceInput =
  /** No reference: all zero after normalisation. */
  | null
  /** (S, S, 4), normalised, the fourth channel 0. */
  | { readonly pixels: Float32Array }
  /** (tokens, E), the penultimate layer's output. */
  | { readonly features: Float32Array };

/** The draws of the editing-direction loss. */
export interface EditBatch {
  /** Prompts' token ids, (B, T). */
  readonly plainIds: Uint32Array;
  /** The same prompts' with an edit, (B, T). */
  readonly editedIds: Uint32Array;
  /** (B, h, w, C), standard normal. */
  readonly noise: Float32Array;
  /** B timesteps. */
  readonly timesteps: readonly number[];
}

/** A batch of B samples; latents are h × w × C. */
export interface StepBatch {
  /** Scaled latents of the images, (B, h, w, C). */
  readonly latents: Float32Array;
  /** Standard normal, (B, h, w, C). */
  readonly noise: Float32Array;
  /** B timesteps, 0..999. */
  readonly timesteps: readonly number[];
  /** Captions' token ids, (B, T). */
  readonly ids: Uint32Array;
  /** References, as many a sample as the adapter takes: B · references of them. */
  readonly references: readonly ReferenceInput[];
  /** The share of a sample's own identity in the mixed one, B values. */
  readonly mix: Float32Array;
  /** The face boxes at the latents' size, (B, h, w), 1 in a box. */
  readonly faceBox: Float32Array;
  /** Weights of the samples in the error of the predicted noise, B values; 1 by default. */
  readonly sampleWeights?: Float32Array;
  /** What the editing-direction loss needs, in steps that have it. */
  readonly edit?: EditBatch;
}

/**
 * Checks how many values were kept on disk: they may be of another model or damaged.
 *
 * @param what they are, for the message
 * @throws {MasterWeaverError} `bad-data`
 */
export function checkKept(
  { length }: Float32Array,
  expected: number,
  what: string,
): void {
  if (length === expected) return;
  throw new MasterWeaverError(
    "bad-data",
    `Cannot use the kept ${what}: there are ${length} values, expected ${expected}; remove the cache, it is made again`,
  );
}

/**
 * Shrinks a map of 0 and 1 by the nearest pixel, as PyTorch's `interpolate` does.
 *
 * @param map (rows, columns)
 */
export function resizeNearest(
  map: Float32Array,
  [rows, columns]: readonly [number, number],
  [height, width]: readonly [number, number],
): Float32Array {
  const resized = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y * rows / height);
    for (let x = 0; x < width; x++) {
      const column = Math.floor(x * columns / width);
      resized[y * width + x] = map[row * columns + column];
    }
  }
  return resized;
}

/**
 * Resizes a map bilinearly, as PyTorch's `interpolate` does without antialiasing
 * and with `align_corners=False`.
 *
 * @param map (rows, columns)
 */
export function resizeBilinear(
  map: Float32Array,
  [rows, columns]: readonly [number, number],
  [height, width]: readonly [number, number],
): Float32Array {
  const resized = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const [top, bottom, down] = between(y, height, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, across] = between(x, width, columns);
      const row = (at: number) =>
        map[at * columns + left] * (1 - across) +
        map[at * columns + right] * across;
      resized[y * width + x] = row(top) * (1 - down) + row(bottom) * down;
    }
  }
  return resized;
}

/** The two places around a place of the resized axis, and the share of the second. */
function between(
  at: number,
  length: number,
  from: number,
): [number, number, number] {
  const place = Math.max(0, (at + 0.5) * from / length - 0.5);
  const first = Math.min(Math.floor(place), from - 1);
  return [first, Math.min(first + 1, from - 1), place - first];
}
