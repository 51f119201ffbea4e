/**
 * The graph of an upscaler: a tile of an image → the same, larger.
 *
 * @module
 */
import type { StorageType } from "../../gpu/gpu.ts";
import { Graph } from "../../graph/graph.ts";
import {
  inputChannels,
  type RrdbConfig,
  rrdbNet,
} from "../../models/rrdbnet.ts";
import { imageOutput } from "../../ops/image_output.ts";
import { map } from "../../ops/map.ts";
import { nonFinite } from "../../ops/non_finite.ts";
import type { Component } from "../../weights/components.ts";
import type { Extent } from "../tiles.ts";

/**
 * `image` (1, H / n, W / n, C), pixels in 0..1 unshuffled by n where the upscaler
 * wants that → `pixels` u32 (1, scale · H, scale · W); `health` u32 (1) becomes 1 if
 * they are not finite.
 *
 * @param size H and W, multiples of n
 */
export function upscaleGraph(
  storage: StorageType,
  { weights, config }: Component<RrdbConfig>,
  { height, width }: Extent,
): Graph {
  const { unshuffle } = config;
  const shape = [
    1,
    height / unshuffle,
    width / unshuffle,
    inputChannels(config),
  ];
  const g = new Graph(storage);
  const x = rrdbNet(g.input("image", shape, storage), weights, config);
  g.name("upscaled", x);
  const health = g.input("health", [1], "u32");
  g.apply(nonFinite, { x, health }, { slot: 0 });
  const signed = g.apply(map, { x }, { scale: 2, offset: -1 });
  g.output("pixels", g.apply(imageOutput, { x: signed }, {}));
  return g;
}
