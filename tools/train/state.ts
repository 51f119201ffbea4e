/**
 * A trainer's state: saved in a checkpoint, put back, given to other ranks.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Communicator } from "../../src/train/distributed/communicator.ts";
import type { OptimiserState } from "../../src/train/optimiser/optimiser.ts";
import type { BlockKind } from "../../src/train/optimiser/parameter_blocks.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import type { TrainValues } from "./options.ts";
import type { ArrayToWrite, TrainCheckpoint } from "./run/checkpoint.ts";

/** Kinds of arrays that a checkpoint holds. */
function savedKinds({ blocks }: Trainer): BlockKind[] {
  return blocks.kinds.filter((kind) => kind !== "gradients");
}

/** Reads parameters, moments and running means, by kind and name. */
export async function readArrays(
  trainer: Trainer,
): Promise<Record<string, ArrayToWrite>> {
  const { blocks } = trainer;
  const arrays: Record<string, ArrayToWrite> = {};
  for (const kind of savedKinds(trainer)) {
    for (const [name, values] of await blocks.read(kind)) {
      const { spec: { shape } } = blocks.slice(name, kind);
      const data = values as Float32Array<ArrayBuffer>;
      arrays[`${kind}/${name}`] = { shape, data };
    }
  }
  return arrays;
}

/**
 * What a checkpoint holds beside its arrays.
 *
 * @param step updates that were done
 * @param learningRate of the next
 */
export function checkpointState(
  values: TrainValues,
  step: number,
  optimiser: OptimiserState,
  learningRate: number,
): JsonObject {
  return {
    // Loading compares it with the checkpoint's name.
    step,
    optimiser: { ...optimiser },
    schedule: { name: values["lr-scheduler"], learningRate },
    // Every draw depends on the seed and on the sample's number alone.
    random: { generator: "philox4x32-10", seed: values.seed },
    data: { batches: step * values["gradient-accumulation-steps"] },
  };
}

/**
 * Requires that an update left numbers behind that training can go on from.
 *
 * @param step updates that were done
 * @param last the newest good checkpoint, for the message
 * @throws {MasterWeaverError} `non-finite` naming the first array that holds others
 */
export function requireFinite(
  arrays: Readonly<Record<string, ArrayToWrite>>,
  step: number,
  last: string | undefined,
): void {
  for (const [name, { data }] of Object.entries(arrays)) {
    if (typeof data === "function" || data.every(Number.isFinite)) continue;
    throw new MasterWeaverError(
      "non-finite",
      `Training stopped after step ${step}: ${name} is not finite, so it is not saved; ${
        last === undefined
          ? "there is no good checkpoint"
          : `the last good checkpoint is ${last}`
      }; run again with a lower --learning-rate`,
    );
  }
}

/**
 * Puts a checkpoint's arrays and state back.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where something is missing
 */
export function restore(
  trainer: Trainer,
  checkpoint: TrainCheckpoint,
): void {
  const { arrays, folder } = checkpoint;
  for (const kind of savedKinds(trainer)) {
    for (const name of trainer.blocks.names) {
      const array = arrays[`${kind}/${name}`];
      if (!array) throw lacks(folder, `${kind} of ${name}`);
      trainer.blocks.write(name, array.data, kind);
    }
  }
  trainer.optimiser.writeState(readOptimiserState(checkpoint));
}

/**
 * The optimiser's state in a checkpoint.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where it is missing
 */
export function readOptimiserState(
  { state, folder }: TrainCheckpoint,
): OptimiserState {
  const { steps, lossScale, cleanSteps } = Object(state.optimiser);
  if (![steps, lossScale, cleanSteps].every(Number.isFinite)) {
    throw lacks(folder, "state of the optimiser");
  }
  return { steps, lossScale, cleanSteps };
}

function lacks(folder: string, what: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-checkpoint",
    `Cannot go on from ${folder}: it has no ${what}`,
  );
}

/**
 * Gives every rank the state of the first.
 *
 * @param step updates that the first rank's state has had
 * @returns the same number on every rank
 */
export async function shareState(
  trainer: Trainer,
  communicator: Communicator,
  step: number,
): Promise<number> {
  if (communicator.size === 1) return step;
  const { blocks, optimiser } = trainer;
  for (const kind of savedKinds(trainer)) {
    for (const block of blocks.layout.keys()) {
      const values = await blocks.readBlock(block, kind);
      await communicator.broadcast(new Uint8Array(values.buffer), 0);
      blocks.writeBlock(block, kind, values);
    }
  }
  const [first] = await communicator.gather({
    step,
    state: await optimiser.readState(),
  });
  optimiser.writeState(first.state);
  return first.step;
}
