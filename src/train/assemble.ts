/**
 * Samples and draws → what a training step is given.
 *
 * @module
 */
import { type ReferenceInput, resizeNearest, type StepBatch } from "./batch.ts";
import type { EditPrompt } from "./data/edit_prompts.ts";
import type { Input, TrainingSample } from "./data/training_sample.ts";
import type { EditDraws, SampleDraws } from "./draws.ts";
import { sampleLatents } from "./recording.ts";
import type { Moments } from "./towers.ts";

/** A sample with its draws. */
export interface DrawnSample {
  /** Image, references, caption. */
  readonly sample: TrainingSample;
  /** Mean and log-variance of the image's latents. */
  readonly moments: Moments;
  /** What was drawn for it. */
  readonly draws: SampleDraws;
  /** What was drawn for the editing-direction loss, in steps that have it. */
  readonly edit?: EditDraws & EditPrompt;
}

/** What a batch is made with. */
export interface AssemblyOptions {
  /** Token ids of a prompt, padded to the text tower's length. */
  readonly tokenize: (prompt: string) => ArrayLike<number>;
  /** The VAE's scaling factor. */
  readonly scalingFactor: number;
  /** Rows and columns of the latents. */
  readonly latentSize: readonly [number, number];
}

/** Joins drawn samples to a batch. */
export function assembleBatch(
  samples: readonly DrawnSample[],
  { tokenize, scalingFactor, latentSize }: AssemblyOptions,
): StepBatch {
  const ids = (prompts: readonly string[]) =>
    Uint32Array.from(prompts.flatMap((prompt) => Array.from(tokenize(prompt))));
  const edits = samples.flatMap(({ edit }) => edit ? [edit] : []);
  return {
    latents: joined(
      samples.map(({ moments, draws }) =>
        sampleLatents(moments, draws.vaeNoise, scalingFactor)
      ),
    ),
    noise: joined(samples.map(({ draws }) => draws.noise)),
    timesteps: samples.map(({ draws }) => draws.timestep),
    ids: ids(samples.map(({ sample }) => sample.caption)),
    references: samples.flatMap(({ sample }) =>
      sample.references.map(referenceInput)
    ),
    mix: Float32Array.from(samples, ({ draws }) => draws.mix),
    faceBox: joined(samples.map(({ sample: { faceBox } }) => {
      const side = Math.sqrt(faceBox.length);
      return resizeNearest(faceBox, [side, side], latentSize);
    })),
    sampleWeights: Float32Array.from(samples, ({ draws }) => draws.weight),
    edit: edits.length === 0 ? undefined : {
      plainIds: ids(edits.map(({ plain }) => plain)),
      editedIds: ids(edits.map(({ edited }) => edited)),
      noise: joined(edits.map(({ noise }) => noise)),
      timesteps: edits.map(({ timestep }) => timestep),
    },
  };
}

function referenceInput(reference: Input | null): ReferenceInput {
  if (reference === null) return null;
  const { cached, pixels } = reference;
  return cached ? { features: cached } : { pixels: pixels! };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
