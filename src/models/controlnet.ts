/**
 * A ControlNet: the half of Stable Diffusion's UNet that goes down, which also sees a
 * control image and says what to add to the UNet's own.
 *
 * Source: diffusers' `ControlNetModel`.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import type { WeightScope } from "../weights/scope.ts";
import type { ControlNetConfig } from "./controlnet_config.ts";
import { add, conv2d } from "./layers.ts";
import { type BlockInputs, Blocks, embedTime } from "./unet_blocks.ts";

export {
  type ControlNetConfig,
  controlNetConfig,
} from "./controlnet_config.ts";

/** Inputs of a ControlNet. */
export interface ControlNetInputs extends Pick<BlockInputs, "cross"> {
  /** (B, h, w, channels), noisy latents */
  readonly sample: Tensor;
  /** f32 (B), timesteps */
  readonly t: Tensor;
  /** (1, h, w, C0), of {@linkcode controlEmbedding} */
  readonly embedding: Tensor;
}

/**
 * The control image as the first layer's channels, which is the same at every step.
 *
 * @param image (1, H, W, 4), in 0..1; the last channel counts for nothing
 * @returns (1, H / factor, W / factor, C0)
 */
export function controlEmbedding(
  image: Tensor,
  w: WeightScope,
  { embeddingChannels: channels, blockOutChannels }: ControlNetConfig,
): Tensor {
  const e = w.at("controlnet_cond_embedding");
  const activation = "silu";
  let x = conv2d(image, e.at("conv_in"), channels[0], { activation });
  for (let i = 0; i + 1 < channels.length; i++) {
    const same = e.at(`blocks.${2 * i}`);
    const half = e.at(`blocks.${2 * i + 1}`);
    x = conv2d(x, same, channels[i], { activation });
    x = conv2d(x, half, channels[i + 1], { activation, stride: 2 });
  }
  return conv2d(x, e.at("conv_out"), blockOutChannels[0]);
}

/**
 * What is added to the UNet, before it is scaled: to each of its skip connections,
 * from the first convolution on, and at last to the output of its middle.
 *
 * Each comes from a convolution of 1 × 1, all zeros before training.
 *
 * @returns the residuals, each of the shape of what it is added to
 */
export function controlNet(
  inputs: ControlNetInputs,
  w: WeightScope,
  config: ControlNetConfig,
): Tensor[] {
  const [c0] = config.blockOutChannels;
  const time = embedTime(inputs.t, w.at("time_embedding"), c0);
  const blocks = new Blocks(inputs, time, w, config);

  // In, with the control image: (B, h, w, channels) → (B, h, w, C0)
  const first = controlledInput(inputs, w, config);

  // Down: (B, h, w, C0) → (B, h / 2^last, w / 2^last, C_last)
  const { x, skips } = blocks.down(first);

  // Middle: (B, h / 2^last, w / 2^last, C_last)
  const middle = blocks.mid(x);

  return [
    ...skips.map((skip, i) => zeroConvolution(skip, w, i)),
    same(middle, w.at("controlnet_mid_block")),
  ];
}

/**
 * The first residual alone, which depends neither on the timestep nor on the text:
 * all that a step with cached features needs.
 */
export function firstResidual(
  inputs: Pick<ControlNetInputs, "sample" | "embedding">,
  w: WeightScope,
  config: ControlNetConfig,
): Tensor {
  return zeroConvolution(controlledInput(inputs, w, config), w, 0);
}

/** How many residuals a ControlNet has. */
export function residualCount(
  { blockOutChannels: { length }, layersPerBlock }: Pick<
    ControlNetConfig,
    "blockOutChannels" | "layersPerBlock"
  >,
): number {
  // Each level but the last also has a downsampler; the first convolution comes
  // before them, the middle after.
  return length * (layersPerBlock + 1) + 1;
}

/** The first convolution and the control image: → (B, h, w, C0) */
function controlledInput(
  { sample, embedding }: Pick<ControlNetInputs, "sample" | "embedding">,
  w: WeightScope,
  { blockOutChannels: [c0] }: ControlNetConfig,
): Tensor {
  return add(conv2d(sample, w.at("conv_in"), c0), embedding);
}

function zeroConvolution(x: Tensor, w: WeightScope, number: number): Tensor {
  return same(x, w.at(`controlnet_down_blocks.${number}`));
}

/** A convolution of 1 × 1 that keeps the channels. */
function same(x: Tensor, w: WeightScope): Tensor {
  return conv2d(x, w, x.shape[3], { kernel: 1 });
}
