/**
 * The graph of encoding: pixels → the distribution of their latents.
 *
 * @module
 */
import type { StorageType } from "../../gpu/gpu.ts";
import { Graph, type Tensor } from "../../graph/graph.ts";
import { vaeEncode } from "../../models/vae.ts";
import { elementCount } from "../../ops/op.ts";
import { view } from "../../ops/view.ts";
import type { GeneratorComponents } from "../context.ts";
import type { RunShape } from "../run_shape.ts";

/**
 * `image` (1, H, W, 4) in −1..1, the fourth channel zero → `mean` and `logvar` f32
 * (1, h, w, C), the log-variance not clamped yet.
 *
 * @param size rows and columns of the latents
 */
export function encodeGraph(
  storage: StorageType,
  { vae }: Pick<GeneratorComponents, "vae">,
  { height, width }: Pick<RunShape, "height" | "width">,
): Graph {
  const g = new Graph(storage);
  const { factor } = vae.config;
  const image = g.input(
    "image",
    [1, factor * height, factor * width, 4],
    storage,
  );
  const { mean, logvar } = vaeEncode(image, vae.weights, vae.config);
  g.output("mean", asF32(mean));
  g.output("logvar", asF32(logvar));
  return g;
}

function asF32(x: Tensor): Tensor {
  return x.graph.apply(view, { x }, {
    shape: [elementCount(x.shape)],
    strides: [1],
    dtype: "f32",
  }).reshape(...x.shape);
}
