import mergeCode from "../../../shaders/merge_tokens.wgsl" with {
  type: "text",
};
import { expectShape, type Op, sameShape, type TensorSpec } from "../op.ts";
import { launchRows } from "./rows.ts";

/** Inputs of {@linkcode mergeTokens}. */
export type MergeInputs = {
  /** (B, T, C) */
  x: TensorSpec;
  /** u32 (B, 3, T), of {@linkcode matchTokens} */
  place: TensorSpec;
};

/** Attributes of {@linkcode mergeTokens}. */
export interface MergeAttributes {
  /** As in {@linkcode MatchAttributes}. */
  merged: number;
}

/** The mean of the tokens of each row: (B, T, C) → (B, T − merged, C). */
export const mergeTokens: Op<MergeInputs, MergeAttributes> = {
  name: "merge_tokens",
  dtypes: { place: "u32" },

  outputs(inputs, { merged }) {
    const { x, place } = inputs;
    const [batch, tokens, channels] = x.shape;
    expectShape(
      x.shape.length === 3 && channels % 4 === 0 && merged < tokens &&
        sameShape(place.shape, [batch, 3, tokens]),
      "merge_tokens",
      `x (B, T, C), C a multiple of 4, T over ${merged}, place (B, 3, T)`,
      inputs,
    );
    const shape = [batch, tokens - merged, channels];
    return { output: { shape, dtype: x.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch: ({ inputs: { x }, outputs: { output } }, { limits }) =>
      launchRows("merge_tokens", mergeCode, x, output, limits, []),
  }],
};
