/**
 * A trainer's state: saved in a checkpoint, put back, given to other ranks.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Communicator } from "../../src/train/distributed/communicator.ts";
import type { BlockKind } from "../../src/train/optimiser/parameter_blocks.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
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

/** Reads the optimiser's state. */
export async function readState({ optimiser }: Trainer): Promise<JsonObject> {
  return { ...await optimiser.readState() };
}

/**
 * Puts a checkpoint's arrays and state back.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where something is missing
 */
export function restore(
  trainer: Trainer,
  { arrays, state, folder }: TrainCheckpoint,
): void {
  const lacks = (what: string) =>
    new MasterWeaverError(
      "bad-checkpoint",
      `Cannot go on from ${folder}: it has no ${what}`,
    );
  for (const kind of savedKinds(trainer)) {
    for (const name of trainer.blocks.names) {
      const array = arrays[`${kind}/${name}`];
      if (!array) throw lacks(`${kind} of ${name}`);
      trainer.blocks.write(name, array.data, kind);
    }
  }
  const { steps, lossScale, cleanSteps } = Object(state.optimiser);
  if (![steps, lossScale, cleanSteps].every(Number.isFinite)) {
    throw lacks("state of the optimiser");
  }
  trainer.optimiser.writeState({ steps, lossScale, cleanSteps });
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
