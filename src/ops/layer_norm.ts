import code from "../../shaders/layer_norm.wgsl" with { type: "text" };
import tiles from "../../shaders/layer_norm_tiles.wgsl" with { type: "text" };
import {
  type Call,
  elementBytes,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  reads,
  sameShape,
  type Target,
  type TensorSpec,
  writes,
} from "./op.ts";
import { vec4Code } from "./stored_vectors.ts";
import { bindRows, splitRows } from "./slices.ts";

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

type NormLaunch = Launch<"x" | "weight" | "bias", "output", never>;
type LayerNormCall = Call<LayerNormInputs, LayerNormAttributes>;

/** `torch.nn.functional.layer_norm` over the last axis; C % 4 = 0. */
export const layerNorm: Op<LayerNormInputs, LayerNormAttributes> = {
  name: "layer_norm",
  kernels: [
    { name: "baseline", launch: launchBaseline },
    { name: "workgroup-tiled", launch: launchTiled },
  ],

  outputs(inputs) {
    const { x, weight, bias } = inputs;
    const channels = x.shape.at(-1)!;
    expectShape(
      channels % 4 === 0 && sameShape(weight.shape, [channels]) &&
        sameShape(bias.shape, [channels]),
      "layer_norm",
      "x (…, C), weight and bias (C), C a multiple of 4",
      inputs,
    );
    return { output: x };
  },
};

/** One row per invocation. */
function launchBaseline(call: LayerNormCall, target: Target): NormLaunch[] {
  return launchRows("layer_norm", code, 32, call, target);
}

/** One row per workgroup. */
function launchTiled(call: LayerNormCall, target: Target): NormLaunch[] {
  return launchRows("layer_norm_tiles", tiles, 1, call, target);
}

function launchRows(
  shader: string,
  main: string,
  rowsPerGroup: number,
  { inputs: { x }, attributes: { eps } }: LayerNormCall,
  { limits, storage }: Target,
) {
  const channels = x.shape.at(-1)!;
  const rowBytes = channels * elementBytes(x.dtype);
  const rows = elementCount(x.shape) / channels;
  return splitRows(rows, rowBytes, limits).map((slice) => ({
    shader,
    code: vec4Code(storage) + main,
    bind: bindRows(
      [...reads("x", "weight", "bias"), ...writes("output")],
      slice,
      { x: rowBytes, output: rowBytes },
    ),
    params: { rows: slice.rows, channels4: channels / 4, eps },
    workgroups: Math.ceil(slice.rows / rowsPerGroup),
  }));
}
