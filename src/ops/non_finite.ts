/**
 * Tells that a tensor holds infinities or NaNs, without reading it back.
 *
 * @module
 */
import code from "../../shaders/non_finite.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  tensorBytes,
  type TensorSpec,
  writes,
} from "./op.ts";
import { cutRows, sliceOf } from "./slices.ts";

/** Inputs of {@linkcode nonFinite}. */
export type NonFiniteInputs = {
  /** f16 or f32, of any shape */
  x: TensorSpec;
  /** u32 (1): what is written; 1 where not given */
  number?: TensorSpec;
  /** u32 (S), changed in place */
  health: TensorSpec;
};

/** Attributes of {@linkcode nonFinite}. */
export interface NonFiniteAttributes {
  /** Which number of `health` stands for x. */
  slot: number;
}

const WORD = 4;
/** Words of a workgroup. */
const GROUP = 256;
/** No word has this number. */
const NONE = 2 ** 32 - 1;

/** Writes `number` to `health[slot]` where x is not all finite and nothing was there: what went wrong first. */
export const nonFinite: Op<NonFiniteInputs, NonFiniteAttributes> = {
  name: "non_finite",
  dtypes: { x: "any", number: "u32", health: "u32" },
  overwrites: { output: "health" },

  outputs(inputs, { slot }) {
    const { x, number, health } = inputs;
    expectShape(
      x.dtype !== "u32" && health.shape.length === 1 &&
        slot < health.shape[0] && (!number || sameShape(number.shape, [1])),
      "non_finite",
      `x f16 or f32, number (1), health (S) with more than ${slot} numbers`,
      inputs,
    );
    return { output: health };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { x, number }, attributes: { slot } }, { limits }) {
      const isHalf = x.dtype === "f16";
      const words = Math.ceil(tensorBytes(x) / WORD);
      const isOdd = isHalf && elementCount(x.shape) % 2 === 1;
      return cutRows(words, WORD, limits).map((slice) => ({
        shader: "non_finite",
        code,
        bind: [
          { input: "x", access: "read", slice: sliceOf(slice, WORD) },
          ...reads("number"),
          ...writes("output"),
        ],
        params: {
          words: slice.rows,
          low: isHalf ? 0x7c00 : 0x7f800000,
          high: isHalf ? 0x7c000000 : 0x7f800000,
          half_word: isOdd && slice.start + slice.rows === words
            ? slice.rows - 1
            : NONE,
          slot,
          has_number: Number(number !== undefined),
        },
        workgroups: Math.ceil(slice.rows / GROUP),
      }));
    },
  }],
};
