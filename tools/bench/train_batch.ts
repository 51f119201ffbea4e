/**
 * Batches that a training step can be run on without any data: neither its time nor
 * its memory depends on the values.
 *
 * @module
 */
import type { Components } from "../../src/components/networks.ts";
import type { StepBatch } from "../../src/train/batch.ts";

/** What a batch is for. */
export interface BatchShape {
  /** Samples. */
  readonly batch: number;
  /** Rows and columns of the latents. */
  readonly latentSize: readonly [number, number];
  /** Whether the step has the editing-direction loss. */
  readonly edit: boolean;
}

/** Samples with one reference each, as most have, and a face in the middle. */
export function stubBatch(
  { vision, text, unet, adapter }: Components,
  { batch, latentSize: [height, width], edit }: BatchShape,
): StepBatch {
  const latents = batch * height * width * unet.config.channels;
  const pixels = 4 * vision.config.imageSize ** 2;
  const { maxReferences } = adapter.config;
  const ids = new Uint32Array(batch * text.config.positions).fill(5);
  const timesteps = (first: number, step: number) =>
    Array.from({ length: batch }, (_, i) => first + i % 8 * step);
  const isInFace = (i: number, length: number) =>
    i >= length / 4 && i < 3 * length / 4;
  return {
    latents: noiseLike(latents, 1),
    noise: noiseLike(latents, 2),
    timesteps: timesteps(100, 100),
    mix: new Float32Array(batch).map((_, i) => 0.3 + i % 2 * 0.3),
    ids,
    references: Array.from(
      { length: batch * maxReferences },
      (_, i) => i % maxReferences > 0 ? null : { pixels: noiseLike(pixels, i) },
    ),
    faceBox: Float32Array.from({ length: batch * height * width }, (_, i) => {
      const row = Math.floor(i / width) % height;
      return Number(isInFace(row, height) && isInFace(i % width, width));
    }),
    edit: edit
      ? {
        plainIds: ids,
        editedIds: ids.map((_, i) => i % 9),
        noise: noiseLike(latents, 3),
        timesteps: timesteps(100, 30),
      }
      : undefined,
  };
}

/** Numbers that are the same each time, about as large as noise. */
function noiseLike(count: number, seed: number): Float32Array {
  return Float32Array.from(
    { length: count },
    (_, i) => 1.4 * Math.sin(12.9898 * (i + 1) + 78.233 * seed),
  );
}
