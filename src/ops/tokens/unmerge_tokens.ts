import unmergeCode from "../../../shaders/unmerge_tokens.wgsl" with {
  type: "text",
};
import { expectShape, type Op, sameShape, type TensorSpec } from "../op.ts";
import { launchRows } from "./rows.ts";

/** Inputs of {@linkcode unmergeTokens}. */
export type UnmergeInputs = {
  /** (B, M, C), merged tokens */
  x: TensorSpec;
  /** u32 (B, 3, T), of {@linkcode matchTokens} */
  place: TensorSpec;
  /** (B, T, C), added */
  residual: TensorSpec;
};

/** Copies each row to all its tokens and adds a residual: (B, M, C) → (B, T, C). */
export const unmergeTokens: Op<UnmergeInputs, Record<never, never>> = {
  name: "unmerge_tokens",
  dtypes: { place: "u32" },

  outputs(inputs) {
    const { x, place, residual } = inputs;
    const [batch, rows, channels] = x.shape;
    const tokens = residual.shape[1];
    expectShape(
      x.shape.length === 3 && channels % 4 === 0 && rows < tokens &&
        sameShape(residual.shape, [batch, tokens, channels]) &&
        sameShape(place.shape, [batch, 3, tokens]),
      "unmerge_tokens",
      "x (B, M, C), C a multiple of 4, place (B, 3, T), residual (B, T, C), T over M",
      inputs,
    );
    return { output: residual };
  },

  kernels: [{
    name: "baseline",
    launch: ({ inputs: { x }, outputs: { output } }, { limits }) =>
      launchRows("unmerge_tokens", unmergeCode, x, output, limits, [
        "residual",
      ]),
  }],
};
