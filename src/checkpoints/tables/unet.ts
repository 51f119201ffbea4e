/**
 * The table of `UNet2DConditionModel`, in diffusers' names.
 *
 * @module
 */
import { crossKeys, unet, type UNetConfig } from "../../models/unet.ts";
import type { LevelConfig } from "../../models/unet_blocks.ts";
import { requestedWeights } from "./requested_weights.ts";
import type { CheckpointConfig } from "./config.ts";
import { DIFFUSERS_ORDER } from "./diffusers_order.ts";
import { plainRow, type Table } from "./table.ts";

const DOWN_TYPES = ["CrossAttnDownBlock2D", "DownBlock2D"];
const UP_TYPES = ["CrossAttnUpBlock2D", "UpBlock2D"];
/** Channels of the latents. */
const CHANNELS = 4;
/** Channels that an inpainting UNet reads: latents, mask, masked image's latents. */
const INPAINTING_CHANNELS = 9;
/** Side of the latents that the graph is built for; no weight depends on it. */
const SIDE = 8;

/**
 * Reads the sizes of the levels going down, which a ControlNet has, too.
 *
 * @param config diffusers' `config.json` of either
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function levelSizes(config: CheckpointConfig): LevelConfig {
  const blockOutChannels = config.sizes("block_out_channels");
  const levels = blockOutChannels.length;
  const down = config.names("down_block_types", DOWN_TYPES, levels);
  return {
    blockOutChannels,
    downAttention: down.map((type) => type === DOWN_TYPES[0]),
    layersPerBlock: config.layers("layers_per_block"),
    crossAttentionDim: config.size("cross_attention_dim"),
    heads: 1,
    groups: 1,
    eps: 1e-5,
  };
}

/**
 * Reads the sizes of a UNet that decide the shapes of its weights; the rest of
 * its config is checked elsewhere, as on loading.
 *
 * @param config diffusers' `unet/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function unetSizes(config: CheckpointConfig): UNetConfig {
  const levels = levelSizes(config);
  const { length } = levels.blockOutChannels;
  const up = config.names("up_block_types", UP_TYPES, length);
  return {
    ...levels,
    sampleSize: SIDE,
    channels: CHANNELS,
    inputChannels: config.json.in_channels === INPAINTING_CHANNELS
      ? INPAINTING_CHANNELS
      : CHANNELS,
    upAttention: up.map((type) => type === UP_TYPES[0]),
  };
}

/**
 * The table of a UNet.
 *
 * @param config diffusers' `unet/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint` where it is another kind of UNet
 */
export function unetTable(config: CheckpointConfig): Table {
  if (config.json.in_channels !== INPAINTING_CHANNELS) {
    config.only(
      "in_channels",
      CHANNELS,
      "9 in an inpainting UNet; a depth UNet has 5",
    );
  }
  config.only("out_channels", CHANNELS, "a UNet of Stable Diffusion 1");
  config.only("use_linear_projection", false, "Stable Diffusion 2 has true");
  config.only("addition_embed_type", null, "Stable Diffusion XL has one");
  const sizes = unetSizes(config);
  const weights = requestedWeights({
    component: "unet",
    config,
    order: DIFFUSERS_ORDER,
    inputChannels: { conv_in: sizes.inputChannels },
    build: (g, w) => {
      const read = 4 * Math.ceil(sizes.inputChannels / 4);
      const text = g.input("text", [1, 1, sizes.crossAttentionDim], "f32");
      unet(
        {
          sample: g.input("sample", [1, SIDE, SIDE, read], "f32"),
          t: g.input("t", [1], "f32"),
          cross: (attention) => crossKeys(attention, text, w),
        },
        w,
        sizes,
      );
    },
  });
  const rows = weights.map((weight) => plainRow(weight));
  return { component: "unet", rows, dropped: [] };
}
