/**
 * What is said of training that met a number that is not finite.
 *
 * @module
 */
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Pace } from "../../src/gpu/pace.ts";
import type { Communicator } from "../../src/train/distributed/communicator.ts";
import type { TrainingLoop } from "../../src/train/loop.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import type { RunOutput } from "./output.ts";

/** Where the steps ran, and can be run again. */
export interface NonFiniteSteps {
  /** The device. */
  readonly gpu: Gpu;
  /** Ran them. */
  readonly trainer: Trainer;
  /** Gave their batches. */
  readonly loop: TrainingLoop;
  /** Knows the last checkpoint. */
  readonly output: RunOutput;
  /** The ranks that train together. */
  readonly communicator: Communicator;
}

/**
 * Names the first tensor of some steps that is not finite, and the last checkpoint.
 *
 * @param first the first step, counted over all updates
 * @param count steps
 */
export async function explainNonFinite(
  { loop, trainer, gpu, output, communicator }: NonFiniteSteps,
  first: number,
  count: number,
): Promise<string> {
  let found: string | undefined;
  for (let step = first; step < first + count && !found; step++) {
    const batch = await loop.batch(step, new Pace(gpu));
    found = await trainer.diagnose(step, batch);
  }
  const said = found
    ? `first ${found} is not finite`
    : "run again, its tensors are finite";
  // Of several ranks each that fails says itself which checkpoint is the last.
  if (communicator.size > 1) return said;
  const last = output.lastCheckpoint;
  return last === undefined
    ? `${said}; there is no checkpoint yet`
    : `${said}; the last good checkpoint is ${last}`;
}
