/**
 * The autoencoder between images and latents.
 *
 * Source: diffusers' `AutoencoderKL`.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import type { WeightScope } from "../weights/scope.ts";
import { ConfigReader } from "./config.ts";
import { attention, conv2d, groupNorm, linear, sliceLast } from "./layers.ts";
import { resnet } from "./resnet.ts";

/** Sizes of the autoencoder, from diffusers' config. */
export interface VaeConfig {
  /** Channels of each level, finest first. */
  readonly blockOutChannels: readonly number[];
  /** Residual blocks per level going down; one more going up. */
  readonly layersPerBlock: number;
  /** Channels of the latents. */
  readonly latentChannels: number;
  /** Groups of every group norm. */
  readonly groups: number;
  /** Factor by which latents are multiplied for the UNet. */
  readonly scalingFactor: number;
  /** Pixels of the image per latent along each side. */
  readonly factor: number;
  /** Pixels along the sides of the images it was trained on, and of tiles. */
  readonly sampleSize: number;
}

const EPS = 1e-6;
/** Channels of an input image on the GPU: red, green, blue and zero. */
const INPUT_CHANNELS = 4;

/** Reads the config of `vae`. */
export function vaeConfig(json: unknown): VaeConfig {
  const config = new ConfigReader(json, "vae");
  config.only("in_channels", 3);
  config.only("out_channels", 3);
  config.only("act_fn", "silu");
  config.onlyEach("down_block_types", "DownEncoderBlock2D");
  config.onlyEach("up_block_types", "UpDecoderBlock2D");
  config.only("mid_block_add_attention", true);
  config.only("use_quant_conv", true);
  config.only("use_post_quant_conv", true);
  // Latents are only scaled by one factor.
  config.only("shift_factor", 0);
  config.only("latents_mean", null);
  config.only("latents_std", null);
  const blockOutChannels = config.integers("block_out_channels");
  return {
    blockOutChannels,
    layersPerBlock: config.integer("layers_per_block", 2),
    latentChannels: config.integer("latent_channels", 4),
    groups: config.integer("norm_num_groups", 32),
    scalingFactor: config.positive("scaling_factor", 0.18215),
    factor: 2 ** (blockOutChannels.length - 1),
    sampleSize: config.integer("sample_size", 512),
  };
}

/**
 * Latents → an image.
 *
 * @param latents (B, h, w, latent channels), already divided by the scaling factor
 * @returns (B, factor · h, factor · w, 3) in about −1..1
 */
export function vaeDecode(
  latents: Tensor,
  w: WeightScope,
  config: VaeConfig,
): Tensor {
  const { blockOutChannels, layersPerBlock, groups } = config;
  const last = blockOutChannels.length - 1;
  const d = w.at("decoder");
  let x = conv2d(latents, w.at("post_quant_conv"), config.latentChannels, {
    kernel: 1,
  });
  x = conv2d(x, d.at("conv_in"), blockOutChannels[last]);
  x = middle(x, d.at("mid_block"), groups);

  // Up: each level but the last doubles height and width.
  for (let i = 0; i <= last; i++) {
    const out = blockOutChannels[last - i];
    const level = d.at(`up_blocks.${i}`);
    for (let j = 0; j <= layersPerBlock; j++) {
      x = resnet(x, level.at(`resnets.${j}`), { out, groups, eps: EPS });
    }
    if (i < last) {
      x = conv2d(x, level.at("upsamplers.0.conv"), out, {
        upsampleTo: [2 * x.shape[1], 2 * x.shape[2]],
      });
    }
  }

  x = groupNorm(x, d.at("conv_norm_out"), groups, EPS, "silu");
  return conv2d(x, d.at("conv_out"), 3); // (B, H, W, 3)
}

/** Mean and log-variance of an image's latents. */
export interface LatentDistribution {
  /** (B, h, w, latent channels) */
  readonly mean: Tensor;
  /** (B, h, w, latent channels), to be clamped to −30..20 before use */
  readonly logvar: Tensor;
}

/**
 * An image → the distribution of its latents.
 *
 * @param image (B, H, W, 4) in −1..1, the fourth channel zero
 */
export function vaeEncode(
  image: Tensor,
  w: WeightScope,
  config: VaeConfig,
): LatentDistribution {
  const { blockOutChannels, layersPerBlock, groups, latentChannels } = config;
  const last = blockOutChannels.length - 1;
  const e = w.at("encoder");
  if (image.shape[3] !== INPUT_CHANNELS) {
    throw new RangeError(
      `Cannot encode an image of ${
        image.shape[3]
      } channels: expected ${INPUT_CHANNELS}, the last zero`,
    );
  }
  let x = conv2d(image, e.at("conv_in"), blockOutChannels[0]);

  // Down: each level but the last halves height and width.
  blockOutChannels.forEach((out, i) => {
    const level = e.at(`down_blocks.${i}`);
    for (let j = 0; j < layersPerBlock; j++) {
      x = resnet(x, level.at(`resnets.${j}`), { out, groups, eps: EPS });
    }
    if (i < last) {
      // Zeros at the right and the bottom only.
      x = conv2d(x, level.at("downsamplers.0.conv"), out, {
        stride: 2,
        padding: [0, 1, 1, 0],
      });
    }
  });

  x = middle(x, e.at("mid_block"), groups);
  x = groupNorm(x, e.at("conv_norm_out"), groups, EPS, "silu");
  x = conv2d(x, e.at("conv_out"), 2 * latentChannels);
  x = conv2d(x, w.at("quant_conv"), 2 * latentChannels, { kernel: 1 });
  return {
    mean: sliceLast(x, 0, latentChannels),
    logvar: sliceLast(x, latentChannels, latentChannels),
  };
}

/** The middle block: residual block, single-head attention over all pixels, residual block. */
function middle(x: Tensor, w: WeightScope, groups: number): Tensor {
  const [batch, height, width, channels] = x.shape;
  const sizes = { out: channels, groups, eps: EPS };
  x = resnet(x, w.at("resnets.0"), sizes);

  const a = w.at("attentions.0");
  const tokens = groupNorm(x, a.at("group_norm"), groups, EPS)
    .reshape(batch, height * width, channels);
  const q = linear(tokens, a.at("to_q"), channels);
  const k = linear(tokens, a.at("to_k"), channels);
  const v = linear(tokens, a.at("to_v"), channels);
  const residual = x.reshape(batch, height * width, channels);
  x = linear(attention(q, k, v, { heads: 1 }), a.at("to_out.0"), channels, {
    residual,
  })
    .reshape(batch, height, width, channels);

  return resnet(x, w.at("resnets.1"), sizes);
}
