/**
 * The graphs of decoding: latents → pixels.
 *
 * @module
 */
import type { StorageType } from "../../gpu/gpu.ts";
import { Graph, type Tensor } from "../../graph/graph.ts";
import { taesdDecode } from "../../models/taesd.ts";
import { vaeDecode } from "../../models/vae.ts";
import { map } from "../../ops/map.ts";
import { type DType, elementCount } from "../../ops/op.ts";
import { imageOutput } from "../../ops/image_output.ts";
import { view } from "../../ops/view.ts";
import type { GeneratorComponents } from "../context.ts";
import { FiniteChecks } from "../health.ts";
import type { Extent } from "../tiles.ts";

/** `latents` f32 (1, h, w, C) → `pixels` u32 (1, H, W); marks in `health` if they are not finite. */
export function decodeGraph(
  storage: StorageType,
  { vae }: Pick<GeneratorComponents, "vae">,
  size: Extent,
): Graph {
  const g = new Graph(storage);
  outputPixels(decodeVae(g, vae, size));
  return g;
}

/** The same by the tiny autoencoder. */
export function tinyDecodeGraph(
  storage: StorageType,
  { taesd }: TinyComponents,
  size: Extent,
): Graph {
  const g = new Graph(storage);
  outputPixels(decodeTiny(g, taesd, size));
  return g;
}

/** The tiny autoencoder of a model that has one. */
export type TinyComponents = Required<Pick<GeneratorComponents, "taesd">>;

/**
 * A tile, which is blended with others before it becomes pixels: `latents` f32 (1,
 * h, w, C) → `tile` f32 (1, H, W, 3) in about −1..1; marks in `health`.
 */
export function decodeTileGraph(
  storage: StorageType,
  { vae }: Pick<GeneratorComponents, "vae">,
  size: Extent,
): Graph {
  const g = new Graph(storage);
  outputTile(decodeVae(g, vae, size));
  return g;
}

/** The same by the tiny autoencoder. */
export function tinyTileGraph(
  storage: StorageType,
  { taesd }: TinyComponents,
  size: Extent,
): Graph {
  const g = new Graph(storage);
  outputTile(decodeTiny(g, taesd, size));
  return g;
}

function decodeVae(
  g: Graph,
  { weights, config }: GeneratorComponents["vae"],
  size: Extent,
): Tensor {
  const { latentChannels, scalingFactor } = config;
  const latents = typedLatents(g, size, latentChannels);
  const scaled = g.apply(map, { x: latents }, { scale: 1 / scalingFactor });
  return checked(vaeDecode(scaled, weights, config));
}

function decodeTiny(
  g: Graph,
  { weights, config }: TinyComponents["taesd"],
  size: Extent,
): Tensor {
  const { latentChannels, scalingFactor } = config;
  const latents = typedLatents(g, size, latentChannels);
  const scaled = scalingFactor === 1
    ? latents
    : g.apply(map, { x: latents }, { scale: 1 / scalingFactor });
  return checked(taesdDecode(scaled, weights, config));
}

/** The input `latents` in the storage type. */
function typedLatents(
  g: Graph,
  { height, width }: Extent,
  channels: number,
): Tensor {
  return cast(
    g.input("latents", [1, height, width, channels], "f32"),
    g.storage,
  );
}

function checked(decoded: Tensor): Tensor {
  const g = decoded.graph;
  g.name("decoded", decoded);
  new FiniteChecks(g).mark("decoded", decoded);
  return decoded;
}

function outputPixels(decoded: Tensor): void {
  const g = decoded.graph;
  g.output("pixels", g.apply(imageOutput, { x: decoded }, {}));
}

function outputTile(decoded: Tensor): void {
  decoded.graph.output("tile", cast(decoded, "f32"));
}

function cast(x: Tensor, dtype: DType): Tensor {
  return x.graph.apply(view, { x }, {
    shape: [elementCount(x.shape)],
    strides: [1],
    dtype,
  }).reshape(...x.shape);
}
