import code from "../../shaders/layer_norm.wgsl" with { type: "text" };
import tiles from "../../shaders/layer_norm_tiles.wgsl" with { type: "text" };
import {
  elementBytes,
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "./op.ts";
import { vec4Code } from "./stored_vectors.ts";
import { bindRows, cutRows } from "./pieces.ts";

/** Inputs of {@linkcode layerNorm}. */
export type LayerNormInputs = {
  /** (…, C) */
  x: TensorSpec;
  /** (C) */
  weight: TensorSpec;
  /** (C) */
  bias: TensorSpec;
};

/** Attributes of {@linkcode layerNorm}. */
export interface LayerNormAttributes {
  /** Added to the variance. */
  eps: number;
}

/** `torch.nn.functional.layer_norm` over the last axis; C % 4 = 0. */
export const layerNorm: Op<LayerNormInputs, LayerNormAttributes> = {
  name: "layer_norm",

  output(inputs) {
    const { x, weight, bias } = inputs;
    const channels = x.shape.at(-1)!;
    expectShape(
      channels % 4 === 0 && sameShape(weight.shape, [channels]) &&
        sameShape(bias.shape, [channels]),
      "layer_norm",
      "x (…, C), weight and bias (C), C a multiple of 4",
      inputs,
    );
    return x;
  },

  variants() {
    return ["registers", "tiles"];
  },

  launch({ x }, _output, { eps }, { limits, storage, variant }) {
    const byGroups = variant === "tiles";
    const channels = x.shape.at(-1)!;
    const rowBytes = channels * elementBytes(x.dtype);
    const all = elementCount(x.shape) / channels;
    return cutRows(all, rowBytes, limits).map((piece) => ({
      shader: byGroups ? "layer_norm_tiles" : "layer_norm",
      code: vec4Code(storage) + (byGroups ? tiles : code),
      bind: bindRows(
        [...reads("x", "weight", "bias"), ...writes("output")],
        piece,
        { x: rowBytes, output: rowBytes },
      ),
      params: [piece.rows, channels / 4, { f32: eps }],
      workgroups: byGroups ? piece.rows : Math.ceil(piece.rows / 32),
    }));
  },
};
