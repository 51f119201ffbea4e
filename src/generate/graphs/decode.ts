/**
 * The graph of decoding: latents → pixels.
 *
 * @module
 */
import type { StorageType } from "../../gpu/gpu.ts";
import { Graph } from "../../graph/graph.ts";
import { vaeDecode } from "../../models/vae.ts";
import { map } from "../../ops/map.ts";
import { elementCount } from "../../ops/op.ts";
import { imageOutput } from "../../ops/image_output.ts";
import { view } from "../../ops/view.ts";
import type { GeneratorComponents } from "../context.ts";
import { FiniteChecks } from "../health.ts";
import type { RunShape } from "../run_shape.ts";

/** `latents` f32 (1, h, w, C) → `pixels` u32 (1, H, W); marks in `health` if they are not finite. */
export function decodeGraph(
  storage: StorageType,
  { vae }: Pick<GeneratorComponents, "vae">,
  { height, width }: Pick<RunShape, "height" | "width">,
): Graph {
  const g = new Graph(storage);
  const { latentChannels, scalingFactor } = vae.config;
  const latents = g.input("latents", [1, height, width, latentChannels], "f32");
  const typed = g.apply(view, { x: latents }, {
    shape: [elementCount(latents.shape)],
    strides: [1],
    dtype: storage,
  }).reshape(...latents.shape);
  const scaled = g.apply(map, { x: typed }, { scale: 1 / scalingFactor });
  const decoded = vaeDecode(scaled, vae.weights, vae.config);
  g.name("decoded", decoded);
  new FiniteChecks(g).mark("decoded", decoded);
  g.output("pixels", g.apply(imageOutput, { x: decoded }, {}));
  return g;
}
