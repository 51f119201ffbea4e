/**
 * Detects infinities and NaNs in a tensor without reading it back.
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
import { sliceOf, splitRows } from "./slices.ts";

/** Inputs of {@linkcode nonFinite}. */
export type NonFiniteInputs = {
  /** f16 or f32, of any shape */
  x: TensorSpec;
  /** u32 (1): the number to write; 1 by default */
  number?: TensorSpec;
  /** u32 (S), changed in place */
  health: TensorSpec;
};

/** Attributes of {@linkcode nonFinite}. */
export interface NonFiniteAttributes {
  /** The element of `health` that reports on x. */
  slot: number;
}

/** Bytes of a word. */
const WORD = 4;
/** Words per workgroup. */
const GROUP = 256;
/** Stands for no word. */
const NONE = 2 ** 32 - 1;

/** Writes `number` to `health[slot]` if x is not all finite and the slot is still 0: the first fault stays. */
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
      const isF16 = x.dtype === "f16";
      const words = Math.ceil(tensorBytes(x) / WORD);
      const isOdd = isF16 && elementCount(x.shape) % 2 === 1;
      return splitRows(words, WORD, limits).map((slice) => ({
        shader: "non_finite",
        code,
        bind: [
          { input: "x", access: "read", slice: sliceOf(slice, WORD) },
          ...reads("number"),
          ...writes("output"),
        ],
        params: {
          words: slice.rows,
          low: isF16 ? 0x7c00 : 0x7f800000,
          high: isF16 ? 0x7c000000 : 0x7f800000,
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
