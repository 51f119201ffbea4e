/**
 * What is said of training that met a number that is not finite.
 *
 * @module
 */
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Pace } from "../../src/gpu/pace.ts";
import type { TrainingLoop } from "../../src/train/loop.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import type { RunFolder } from "./run/run_folder.ts";

/** Where the steps ran, and can be run again. */
export interface NonFiniteSteps {
  /** The device. */
  readonly gpu: Gpu;
  /** Ran them. */
  readonly trainer: Trainer;
  /** Gave their batches. */
  readonly loop: TrainingLoop;
  /** Holds the checkpoints. */
  readonly run: RunFolder;
}

/** Names the first tensor of some steps that is not finite, and the last checkpoint. */
export async function explainNonFinite(
  { loop, trainer, gpu, run }: NonFiniteSteps,
  first: number,
  count: number,
): Promise<string> {
  let found: string | undefined;
  for (let step = first; step < first + count && !found; step++) {
    const batch = await loop.batch(step, new Pace(gpu));
    found = await trainer.diagnose(step, batch);
  }
  const { checkpoint } = await run.latest();
  const said = found
    ? `first ${found} is not finite`
    : "run again, its tensors are finite";
  const last = checkpoint
    ? `the last good checkpoint is ${checkpoint.folder}`
    : "there is no checkpoint yet";
  return `${said}; ${last}`;
}
