/**
 * The losses that tell whether faces are learnt, recorded with each grid.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Pace } from "../../src/gpu/pace.ts";
import type { Communicator } from "../../src/train/distributed/communicator.ts";
import type { TrainingLoop } from "../../src/train/loop.ts";
import { withTrainFlags } from "./advice.ts";
import type { RunOutput } from "./output.ts";
import type { Trained } from "./trained.ts";

/** What is probed, and who is told where that fails. */
export interface FaceProbeOptions {
  readonly gpu: Gpu;
  readonly loop: TrainingLoop;
  readonly trained: Trained;
  readonly output: RunOutput;
  readonly communicator: Communicator;
}

/**
 * Measures `loss_own`, `loss_none` and `loss_other`, on the first rank; a LoRA
 * learns no faces. Training goes on where that fails.
 *
 * @param step updates that were done
 * @param check is called while it waits; what it throws ends the probe
 */
export async function probeFaces(
  { gpu, loop, trained, output, communicator }: FaceProbeOptions,
  step: number,
  check: () => void,
): Promise<Record<string, number | null>> {
  if (communicator.rank > 0 || trained.losses.background === false) return {};
  try {
    const found = await loop.probe(new Pace(gpu, check));
    return Object.fromEntries(
      Object.entries(found).map(([face, loss]) =>
        [`loss_${face}`, Number.isFinite(loss) ? loss : null] as const
      ),
    );
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    if (error.code !== "aborted") {
      output.warn(
        `Faces were not probed at step ${step}: ${
          withTrainFlags(error.message)
        }`,
      );
    }
    return {};
  }
}
