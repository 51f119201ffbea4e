/**
 * Stable Diffusion's UNet with MasterWeaver's identity attention.
 *
 * Source: diffusers' `UNet2DConditionModel` and MasterWeaver's
 * `attention_processor.py`.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import type { WeightScope } from "../weights/scope.ts";
import { concat, conv2d, groupNorm } from "./layers.ts";
import { type BlockInputs, Blocks, embedTime } from "./unet_blocks.ts";
import type { UNetConfig } from "./unet_config.ts";

export {
  type CrossAttention,
  crossAttentions,
  type CrossKeys,
  crossKeys,
} from "./cross_attentions.ts";
export { type UNetConfig, unetConfig } from "./unet_config.ts";

/** Inputs of the UNet. */
export interface UNetInputs extends BlockInputs {
  /**
   * (B, H, W, channels), noisy latents; for an inpainting UNet followed by mask, masked
   * image's latents and zeros up to a multiple of 4 channels
   */
  readonly sample: Tensor;
  /** f32 (B), timesteps */
  readonly t: Tensor;
  /** (B, H, W, C0), the `cached_features` of an earlier step, to be used instead of computed */
  readonly cachedFeatures?: Tensor;
  /**
   * Adds what ControlNets say to a skip connection, by its number from the first
   * convolution on, or to the output of the middle, which comes after the last.
   */
  readonly control?: (x: Tensor, number: number) => Tensor;
}

/**
 * Predicts the noise in latents.
 *
 * Names the output of every block by its path, and the text's output of each
 * cross-attention, before the identity's is added, `….attn2.text`. The output of all
 * layers but the outermost is named `cached_features`: it changes slowly from step to
 * step, and those layers are skipped if it is passed as
 * {@linkcode UNetInputs.cachedFeatures} (DeepCache, Ma et al. 2024).
 *
 * @returns (B, H, W, channels)
 */
export function unet(
  inputs: UNetInputs,
  w: WeightScope,
  config: UNetConfig,
): Tensor {
  const { blockOutChannels, layersPerBlock, groups, eps } = config;
  const g = inputs.sample.graph;
  const last = blockOutChannels.length - 1;

  // Time: (B) → (B, 4 · C0), after SiLU, as every residual block uses it.
  const time = embedTime(inputs.t, w.at("time_embedding"), blockOutChannels[0]);
  const blocks = new Blocks(inputs, time, w, config);
  const control = inputs.control ?? ((x: Tensor) => x);

  // In: (B, H, W, channels, or more for inpainting) → (B, H, W, C0)
  const first = conv2d(inputs.sample, w.at("conv_in"), blockOutChannels[0]);
  g.name("conv_in", first);

  // All layers but the outermost: (B, H, W, C0) → (B, H, W, C0)
  const features = inputs.cachedFeatures ??
    innerLayers(first, control, blocks, w, config);
  g.name("cached_features", features);

  // The last layer going up, which takes the first skip connection.
  let x = up(blocks, config, features, control(first, 0), last, layersPerBlock);
  g.name(`up_blocks.${last}`, x);

  // Out: (B, H, W, C0) → (B, H, W, channels)
  x = groupNorm(x, w.at("conv_norm_out"), groups, eps, "silu");
  g.name("conv_norm_out.silu", x);
  return conv2d(x, w.at("conv_out"), config.channels);
}

/** Down, through the middle, and up to the last but one layer. */
function innerLayers(
  first: Tensor,
  control: (x: Tensor, number: number) => Tensor,
  blocks: Blocks,
  w: WeightScope,
  config: UNetConfig,
): Tensor {
  const { blockOutChannels, layersPerBlock } = config;
  const g = first.graph;
  const last = blockOutChannels.length - 1;

  // Down: (B, H, W, C0) → (B, H / 2^last, W / 2^last, C_last)
  const down = blocks.down(first);
  const { skips } = down;

  // Middle: (B, H / 2^last, W / 2^last, C_last)
  let x = control(blocks.mid(down.x), skips.length);

  const upLayers = (x: Tensor, block: number, count: number) => {
    for (let j = 0; j < count; j++) {
      const skip = skips.pop()!;
      x = up(blocks, config, x, control(skip, skips.length), block, j);
    }
    return x;
  };

  // Up: each level takes the skip connections of its level going down, then upsamples.
  for (let i = 0; i < last; i++) {
    const path = `up_blocks.${i}`;
    x = g.block(path, () => {
      const y = upLayers(x, i, layersPerBlock + 1);
      const [, height, width] = skips.at(-1)!.shape;
      const out = blockOutChannels[last - i];
      return conv2d(y, w.at(`${path}.upsamplers.0.conv`), out, {
        upsampleTo: [height, width],
      });
    });
    g.name(path, x);
  }
  return g.block(
    `up_blocks.${last}`,
    () => upLayers(x, last, layersPerBlock),
  );
}

/** A layer going up, with its skip connection: (B, H, W, …) → (B, H, W, C) */
function up(
  blocks: Blocks,
  { blockOutChannels, upAttention }: UNetConfig,
  x: Tensor,
  skip: Tensor,
  block: number,
  layer: number,
): Tensor {
  const path = `up_blocks.${block}`;
  const level = blockOutChannels.length - 1 - block;
  const y = blocks.resnet(
    concat(x, skip, 3),
    `${path}.resnets.${layer}`,
    blockOutChannels[level],
  );
  return upAttention[block]
    ? blocks.attend(y, level, `${path}.attentions.${layer}`)
    : y;
}
