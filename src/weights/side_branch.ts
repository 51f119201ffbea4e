/**
 * Products of low rank beside quantised weights, from deltas.
 *
 * @module
 */
import type { LowRank } from "./delta_kinds.ts";
import type { TensorDelta } from "./lora.ts";
import type { SideBranch } from "./scope.ts";
import type { WeaveTensor } from "./weave.ts";

/** Ranks are filled up with zeros to a multiple of this, which all kernels take. */
const MULTIPLE = 4;
/** Bytes of a value on the GPU, in f16. */
const VALUE_BYTES = 2;

/** A delta with its strength. */
export interface StrongDelta {
  /** The delta. */
  readonly delta: TensorDelta;
  /** What it is multiplied by. */
  readonly strength: number;
}

/**
 * The product beside a quantised weight that acts as its deltas do: their
 * matrices side by side.
 *
 * @param weight as its file has it
 * @returns undefined where a delta is no product of two matrices, or where the
 *   weight itself as f16 takes less memory
 */
export function sideBranch(
  weight: WeaveTensor,
  deltas: readonly StrongDelta[],
): SideBranch | undefined {
  const { name, shape, bytes } = weight;
  let sum = 0;
  for (const { delta: { rank, readLowRank } } of deltas) {
    if (rank === undefined || !readLowRank) return undefined;
    sum += rank;
  }
  const rank = Math.ceil(sum / MULTIPLE) * MULTIPLE;
  const [outputs, ...inner] = shape;
  const width = inner.reduce((product, length) => product * length, 1);
  const whole = outputs * width * VALUE_BYTES;
  if (bytes + rank * (outputs + width) * VALUE_BYTES >= whole) return undefined;
  const tensor = (
    which: "down" | "up",
    shape: readonly number[],
  ): WeaveTensor => ({
    name: `${name}.${which}`,
    shape,
    dtype: "f32",
    bytes: 4 * shape.reduce((product, length) => product * length, 1),
    async *chunks() {
      const joined = await join(deltas, rank, outputs, width);
      yield new Uint8Array(joined[which].buffer);
    },
  });
  return {
    rank,
    down: tensor("down", [rank, ...inner]),
    up: tensor("up", [outputs, rank]),
  };
}

/** The matrices of all deltas as two, the rest of the rank zeros. */
async function join(
  deltas: readonly StrongDelta[],
  rank: number,
  outputs: number,
  width: number,
) {
  const down = new Float32Array(rank * width);
  const up = new Float32Array(outputs * rank);
  let first = 0;
  for (const { delta, strength } of deltas) {
    const own = await delta.readLowRank!();
    for (let r = 0; r < own.rank; r++, first++) {
      const factor = balance(own, r);
      for (let i = 0; i < width; i++) {
        down[first * width + i] = own.down[r * width + i] * factor;
      }
      for (let o = 0; o < outputs; o++) {
        up[o * rank + first] = strength * own.up[o * own.rank + r] / factor;
      }
    }
  }
  return { down, up };
}

/**
 * The power of two by which a row of `down` is multiplied, and its column of `up`
 * divided, so that the largest values of both are alike: in f16, whose smallest
 * numbers have fewer digits, neither loses any.
 */
function balance({ rank, down, up }: LowRank, r: number): number {
  const width = down.length / rank;
  let [inner, outer] = [0, 0];
  for (let i = 0; i < width; i++) {
    inner = Math.max(inner, Math.abs(down[r * width + i]));
  }
  for (let at = r; at < up.length; at += rank) {
    outer = Math.max(outer, Math.abs(up[at]));
  }
  if (inner === 0 || outer === 0) return 1;
  return 2 ** Math.round(Math.log2(outer / inner) / 2);
}
