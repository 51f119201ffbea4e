/**
 * Where each trained parameter lies: in blocks, flat arrays that the optimiser
 * updates in one launch.
 *
 * The layout depends on the list of parameters and the size of a block alone, so
 * that checkpoints and ranks agree on it.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { alignBinding } from "../../gpu/buffers.ts";
import { tensorBytes, type TensorSpec } from "../../ops/op.ts";

/** A parameter to train. */
export interface TrainedParameter {
  /** Its name, as in the checkpoint. */
  readonly name: string;
  /** Lengths of its axes. */
  readonly shape: readonly number[];
  /** Whether weight decay applies to it; `true` by default. */
  readonly weightDecay?: boolean;
  /** Factor of the learning rate; 1 by default. */
  readonly learningRateFactor?: number;
}

/** A parameter's place in its block. */
export interface ParameterPlace {
  /** Its name. */
  readonly name: string;
  /** Its shape, f32. */
  readonly spec: TensorSpec;
  /** Where it starts, in bytes: a multiple of 256, so that it can be bound. */
  readonly offset: number;
  /** Its length in bytes. */
  readonly bytes: number;
}

/** A block: parameters that are updated alike. */
export interface BlockLayout {
  /** Its parameters, in order. */
  readonly places: readonly ParameterPlace[];
  /** Its length in bytes, with the padding between parameters. */
  readonly bytes: number;
  /** Whether weight decay applies to it. */
  readonly weightDecay: boolean;
  /** Factor of the learning rate. */
  readonly learningRateFactor: number;
}

/** Most bytes of a block: half of what every adapter can bind. */
export const BLOCK_BYTES = 64 * 2 ** 20;

type OpenBlock = BlockLayout & { places: ParameterPlace[]; bytes: number };

/**
 * Lays parameters out in the order given. Those with another weight decay or
 * learning rate have blocks of their own, and so has one that is larger than a
 * block.
 *
 * @param parameters all with different names
 * @param blockBytes most bytes of a block
 * @throws {MasterWeaverError} `bad-option` naming a parameter that cannot be trained
 */
export function layOutParameters(
  parameters: readonly TrainedParameter[],
  blockBytes = BLOCK_BYTES,
): readonly BlockLayout[] {
  checkParameters(parameters);
  const blocks: BlockLayout[] = [];
  /** The block of each group that is not full. */
  const open = new Map<string, OpenBlock>();
  for (const parameter of parameters) {
    const { name, weightDecay = true, learningRateFactor = 1 } = parameter;
    const spec: TensorSpec = { shape: [...parameter.shape], dtype: "f32" };
    const bytes = tensorBytes(spec);
    const room = alignBinding(bytes);
    const group = `${weightDecay} ${learningRateFactor}`;
    let block = open.get(group);
    if (!block || block.bytes + room > blockBytes) {
      block = { places: [], bytes: 0, weightDecay, learningRateFactor };
      blocks.push(block);
      // What is larger than a block leaves the open one open.
      if (room <= blockBytes) open.set(group, block);
    }
    block.places.push({ name, spec, offset: block.bytes, bytes });
    block.bytes += room;
  }
  return blocks;
}

function checkParameters(parameters: readonly TrainedParameter[]): void {
  if (parameters.length === 0) {
    throw new MasterWeaverError(
      "bad-option",
      "Cannot train: expected at least one parameter, got none",
    );
  }
  const names = new Set<string>();
  for (const { name, shape, learningRateFactor = 1 } of parameters) {
    const wrong = names.has(name)
      ? "its name is given twice"
      : !shape.every((length) => Number.isSafeInteger(length) && length > 0)
      ? `expected lengths of 1 and more, got the shape (${shape.join(", ")})`
      : !(learningRateFactor >= 0 && learningRateFactor < Infinity)
      ? `expected a learning rate factor of 0 and more, got ${learningRateFactor}`
      : null;
    if (wrong !== null) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot train the parameter ${name}: ${wrong}`,
      );
    }
    names.add(name);
  }
}
