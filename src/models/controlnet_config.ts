/**
 * Reads the config of a ControlNet and refuses what is not implemented.
 *
 * @module
 */
import { ConfigReader } from "./config.ts";
import type { LevelConfig } from "./unet_blocks.ts";
import { UNET_VARIANT } from "./unet_config.ts";

/** Sizes of a ControlNet, from diffusers' config. */
export interface ControlNetConfig extends LevelConfig {
  /** Channels of the latents. */
  readonly channels: number;
  /**
   * Channels of the layers that read the control image, finest first; each but the
   * first halves height and width.
   */
  readonly embeddingChannels: readonly number[];
  /** The order in which it reads an image's colours. */
  readonly channelOrder: "rgb" | "bgr";
  /** How many times smaller than the control image its latents are. */
  readonly factor: number;
}

/** The variants of diffusers' ControlNet that are implemented, besides those of its UNet. */
const COMPUTED: readonly (readonly [key: string, value: unknown])[] = [
  ["conditioning_channels", 3],
  // Its residuals would be averaged over the image.
  ["global_pool_conditions", false],
  ["projection_class_embeddings_input_dim", null],
];

/** Reads the config of `controlnet`. */
export function controlNetConfig(json: unknown): ControlNetConfig {
  const config = new ConfigReader(json, "controlnet");
  for (const [key, value] of UNET_VARIANT) config.onlyEach(key, value);
  for (const [key, value] of COMPUTED) config.only(key, value);
  const down = config.words(
    "down_block_types",
    ["DownBlock2D", "CrossAttnDownBlock2D"],
  );
  const embeddingChannels = config.raw("conditioning_embedding_out_channels") ==
      null
    ? [16, 32, 96, 256]
    : config.integers("conditioning_embedding_out_channels");
  return {
    channels: config.integer("in_channels", 4),
    blockOutChannels: config.integers("block_out_channels"),
    downAttention: down.map((name) => name === "CrossAttnDownBlock2D"),
    layersPerBlock: config.integer("layers_per_block", 2),
    crossAttentionDim: config.integer("cross_attention_dim", 768),
    heads: config.integer("attention_head_dim", 8),
    groups: config.integer("norm_num_groups", 32),
    eps: config.positive("norm_eps", 1e-5),
    embeddingChannels,
    channelOrder: config.word(
      "controlnet_conditioning_channel_order",
      ["rgb", "bgr"],
    ),
    factor: 2 ** (embeddingChannels.length - 1),
  };
}
