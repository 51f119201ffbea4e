/**
 * The UNet's names in the single-file layout of the original latent diffusion
 * code, which numbers blocks in the order they run.
 *
 * @module
 */
import type { LevelConfig } from "../../models/unet_blocks.ts";
import type { CheckpointConfig } from "./config.ts";
import { ModuleNames } from "./module_names.ts";
import { unetSizes } from "./unet.ts";

/** A residual block's layers, in diffusers' names and as numbered there. */
const RESNET = {
  norm1: "in_layers.0",
  conv1: "in_layers.2",
  time_emb_proj: "emb_layers.1",
  norm2: "out_layers.0",
  conv2: "out_layers.3",
  conv_shortcut: "skip_connection",
};

/**
 * Names below `model.diffusion_model.`, by diffusers' names.
 *
 * Attention keeps its names. Input block 0 is the first convolution; from then
 * on every residual block, with its attention, and every downsampler is a block
 * of its own. Upsamplers belong to the residual block before them.
 *
 * @param config diffusers' `unet/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function ldmUnetNames(config: CheckpointConfig): ModuleNames {
  const sizes = unetSizes(config);
  const { layersPerBlock: layers, upAttention } = sizes;
  const levels = sizes.blockOutChannels.length;
  const names = new ModuleNames();
  setLdmDownNames(names, sizes);

  let block = 0;
  for (let i = 0; i < levels; i++) {
    const path = `up_blocks.${i}`;
    for (let j = 0; j <= layers; j++, block++) {
      names.setAll(`${path}.resnets.${j}`, `output_blocks.${block}.0`, RESNET);
      if (upAttention[i]) {
        names.set(`${path}.attentions.${j}`, `output_blocks.${block}.1`);
      }
    }
    if (i < levels - 1) {
      const position = upAttention[i] ? 2 : 1;
      names.set(
        `${path}.upsamplers.0.conv`,
        `output_blocks.${block - 1}.${position}.conv`,
      );
    }
  }
  names.set("conv_norm_out", "out.0");
  names.set("conv_out", "out.2");
  return names;
}

/**
 * Maps the first layers, those going down and the middle, which a ControlNet has,
 * too.
 *
 * @param names to which they are added
 * @param sizes of either network
 */
export function setLdmDownNames(
  names: ModuleNames,
  { blockOutChannels: { length: levels }, layersPerBlock, downAttention }:
    LevelConfig,
): void {
  names.set("conv_in", "input_blocks.0.0");
  names.set("time_embedding.linear_1", "time_embed.0");
  names.set("time_embedding.linear_2", "time_embed.2");

  let block = 1;
  for (let i = 0; i < levels; i++) {
    const path = `down_blocks.${i}`;
    for (let j = 0; j < layersPerBlock; j++, block++) {
      names.setAll(`${path}.resnets.${j}`, `input_blocks.${block}.0`, RESNET);
      if (downAttention[i]) {
        names.set(`${path}.attentions.${j}`, `input_blocks.${block}.1`);
      }
    }
    if (i < levels - 1) {
      names.set(`${path}.downsamplers.0.conv`, `input_blocks.${block++}.0.op`);
    }
  }

  names.setAll("mid_block.resnets.0", "middle_block.0", RESNET);
  names.set("mid_block.attentions.0", "middle_block.1");
  names.setAll("mid_block.resnets.1", "middle_block.2", RESNET);
}
