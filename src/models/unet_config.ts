/**
 * Reads the config of a UNet and refuses what is not implemented.
 *
 * @module
 */
import { ConfigReader } from "./config.ts";

/** Sizes of the UNet, from diffusers' config. */
export interface UNetConfig {
  /** Side of the latents it was trained on. */
  readonly sampleSize: number;
  /** Channels of the latents. */
  readonly channels: number;
  /**
   * Channels that it reads: the latents', and of an inpainting UNet the mask and as many
   * again, the latents of the masked image.
   */
  readonly inputChannels: number;
  /** Channels of each level, finest first. */
  readonly blockOutChannels: readonly number[];
  /** Whether each level going down has attention. */
  readonly downAttention: readonly boolean[];
  /** Whether each level going up has attention. */
  readonly upAttention: readonly boolean[];
  /** Residual blocks per level going down; one more going up. */
  readonly layersPerBlock: number;
  /** Channels of text and identity embeddings. */
  readonly crossAttentionDim: number;
  /** Heads of every attention (diffusers calls it `attention_head_dim`). */
  readonly heads: number;
  /** Groups of every group norm. */
  readonly groups: number;
  /** Added to variances. */
  readonly eps: number;
}

/**
 * The variant of diffusers' UNet that is implemented: a config may omit these keys or
 * have these values. Its ControlNets have most of them, too.
 */
export const UNET_VARIANT: readonly (readonly [key: string, value: unknown])[] =
  [
    ["center_input_sample", false],
    // Timesteps.
    ["flip_sin_to_cos", true],
    ["freq_shift", 0],
    ["time_embedding_type", "positional"],
    ["time_embedding_act_fn", null],
    ["timestep_post_act", null],
    ["time_cond_proj_dim", null],
    // Conditioning other than text.
    ["class_embed_type", null],
    ["num_class_embeds", null],
    ["class_embeddings_concat", false],
    ["addition_embed_type", null],
    ["encoder_hid_dim", null],
    ["encoder_hid_dim_type", null],
    // Convolutions and residual blocks.
    ["act_fn", "silu"],
    ["conv_in_kernel", 3],
    ["conv_out_kernel", 3],
    ["downsample_padding", 1],
    ["resnet_time_scale_shift", "default"],
    ["resnet_skip_time_act", false],
    ["resnet_out_scale_factor", 1],
    ["mid_block_type", "UNetMidBlock2DCrossAttn"],
    ["mid_block_scale_factor", 1],
    // Transformers.
    ["num_attention_heads", null],
    ["transformer_layers_per_block", 1],
    ["reverse_transformer_layers_per_block", null],
    ["use_linear_projection", false],
    ["only_cross_attention", false],
    ["mid_block_only_cross_attention", false],
    ["dual_cross_attention", false],
    ["cross_attention_norm", null],
    ["attention_type", "default"],
  ];

/** Reads the config of `unet`. */
export function unetConfig(json: unknown): UNetConfig {
  const config = new ConfigReader(json, "unet");
  const channels = config.integer("out_channels", 4);
  const inputChannels = config.integer("in_channels", channels);
  if (inputChannels !== 2 * channels + 1) config.only("in_channels", channels);
  for (const [key, value] of UNET_VARIANT) config.onlyEach(key, value);
  const down = config.words(
    "down_block_types",
    ["DownBlock2D", "CrossAttnDownBlock2D"],
  );
  const up = config.words("up_block_types", [
    "UpBlock2D",
    "CrossAttnUpBlock2D",
  ]);
  const blockOutChannels = config.integers("block_out_channels");
  config.only("time_embedding_dim", 4 * blockOutChannels[0]);
  return {
    sampleSize: config.integer("sample_size", 64),
    channels,
    inputChannels,
    blockOutChannels,
    downAttention: down.map((name) => name === "CrossAttnDownBlock2D"),
    upAttention: up.map((name) => name === "CrossAttnUpBlock2D"),
    layersPerBlock: config.integer("layers_per_block", 2),
    crossAttentionDim: config.integer("cross_attention_dim", 768),
    heads: config.integer("attention_head_dim", 8),
    groups: config.integer("norm_num_groups", 32),
    eps: config.positive("norm_eps", 1e-5),
  };
}
