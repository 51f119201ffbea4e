/**
 * RRDBNet, the network of ESRGAN and Real-ESRGAN: an image becomes one of two,
 * four or more times as many pixels along each side.
 *
 * Source: basicsr's `RRDBNet`.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import { map } from "../ops/map.ts";
import type { WeightScope } from "../weights/scope.ts";
import { ConfigReader } from "./config.ts";
import { add, concat, conv2d } from "./layers.ts";

/** Sizes of an upscaler. */
export interface RrdbConfig {
  /** Channels between blocks. */
  readonly features: number;
  /** Channels that each convolution of a dense block adds. */
  readonly growth: number;
  /** Blocks, of three dense blocks each. */
  readonly blocks: number;
  /** Doublings of the features' size at the end. */
  readonly doublings: number;
  /** Pixels along each side that become one, with more channels, at the start: 1, 2 or 4. */
  readonly unshuffle: number;
  /** Pixels of the result for each of the image's, along each side. */
  readonly scale: number;
}

/** Convolutions of a dense block. */
const CONVOLUTIONS = 5;
/** How much of what a block computes is added to what it was given. */
const SHARE = 0.2;

/** Reads the config of `upscaler`. */
export function rrdbConfig(json: unknown): RrdbConfig {
  const config = new ConfigReader(json, "upscaler");
  config.only("architecture", "RRDBNet");
  const doublings = config.integer("doublings", 2, 0);
  const unshuffle = config.integer("pixel_unshuffle", 1);
  config.only("pixel_unshuffle", [1, 2, 4].find((n) => n === unshuffle) ?? 1);
  return {
    features: config.integer("num_feat"),
    growth: config.integer("num_grow_ch"),
    blocks: config.integer("num_block"),
    doublings,
    unshuffle,
    scale: 2 ** doublings / unshuffle,
  };
}

/** Channels of an upscaler's input: four for an image, the last zero, or those of unshuffled pixels. */
export function inputChannels({ unshuffle }: RrdbConfig): number {
  return unshuffle === 1 ? 4 : 3 * unshuffle ** 2;
}

/**
 * An image → a larger one.
 *
 * @param image (B, H, W, 4) in 0..1, the fourth channel zero; or its pixels
 *   unshuffled, (B, H / n, W / n, 3 · n²), channel c · n² + row · n + column
 * @returns (B, scale · H, scale · W, 3) in about 0..1
 */
export function rrdbNet(
  image: Tensor,
  w: WeightScope,
  config: RrdbConfig,
): Tensor {
  const { features, growth, blocks, doublings } = config;
  const activation = "leaky_relu";
  const first = conv2d(image, w.at("conv_first"), features);
  let x = first;
  for (let i = 0; i < blocks; i++) {
    const b = w.at(`body.${i}`);
    const before = x;
    for (let j = 1; j <= 3; j++) x = denseBlock(x, b.at(`rdb${j}`), growth);
    x = share(x, before);
  }
  x = conv2d(x, w.at("conv_body"), features, { residual: first });
  for (let i = 1; i <= doublings; i++) {
    x = conv2d(x, w.at(`conv_up${i}`), features, {
      activation,
      upsampleTo: [2 * x.shape[1], 2 * x.shape[2]],
    });
  }
  x = conv2d(x, w.at("conv_hr"), features, { activation });
  return conv2d(x, w.at("conv_last"), 3);
}

/** basicsr's `ResidualDenseBlock`: each convolution reads all that was computed before. */
function denseBlock(x: Tensor, w: WeightScope, growth: number): Tensor {
  let known = x;
  for (let i = 1; i < CONVOLUTIONS; i++) {
    const more = conv2d(known, w.at(`conv${i}`), growth, {
      activation: "leaky_relu",
    });
    known = concat(known, more, 3);
  }
  return share(conv2d(known, w.at(`conv${CONVOLUTIONS}`), x.shape[3]), x);
}

/** 0.2 · x + before */
function share(x: Tensor, before: Tensor): Tensor {
  return add(x.graph.apply(map, { x }, { scale: SHARE }), before);
}
