/**
 * The autoencoder's names in the single-file layout of the original latent
 * diffusion code.
 *
 * @module
 */
import type { CheckpointConfig } from "./config.ts";
import { ModuleNames } from "./module_names.ts";

const RESNET = { conv_shortcut: "nin_shortcut" };
const ATTENTION = {
  group_norm: "norm",
  to_q: "q",
  to_k: "k",
  to_v: "v",
  "to_out.0": "proj_out",
};

/**
 * Names below `first_stage_model.`, by diffusers' names.
 *
 * There the decoder's levels are numbered from the highest resolution, which
 * runs last.
 *
 * @param config diffusers' `vae/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function ldmVaeNames(config: CheckpointConfig): ModuleNames {
  const levels = config.sizes("block_out_channels").length;
  const layers = config.layers("layers_per_block");
  const names = new ModuleNames();
  for (const conv of ["quant_conv", "post_quant_conv"]) names.set(conv, conv);
  for (const half of ["encoder", "decoder"]) {
    names.set(`${half}.conv_in`, `${half}.conv_in`);
    names.set(`${half}.conv_norm_out`, `${half}.norm_out`);
    names.set(`${half}.conv_out`, `${half}.conv_out`);
    const middle = `${half}.mid_block`;
    names.setAll(`${middle}.resnets.0`, `${half}.mid.block_1`, RESNET);
    names.setAll(`${middle}.attentions.0`, `${half}.mid.attn_1`, ATTENTION);
    names.setAll(`${middle}.resnets.1`, `${half}.mid.block_2`, RESNET);
  }
  for (let i = 0; i < levels; i++) {
    const [down, up] = [`encoder.down.${i}`, `decoder.up.${levels - 1 - i}`];
    for (let j = 0; j < layers; j++) {
      const path = `encoder.down_blocks.${i}.resnets.${j}`;
      names.setAll(path, `${down}.block.${j}`, RESNET);
    }
    for (let j = 0; j <= layers; j++) {
      const path = `decoder.up_blocks.${i}.resnets.${j}`;
      names.setAll(path, `${up}.block.${j}`, RESNET);
    }
    if (i === levels - 1) continue;
    names.set(
      `encoder.down_blocks.${i}.downsamplers.0.conv`,
      `${down}.downsample.conv`,
    );
    names.set(
      `decoder.up_blocks.${i}.upsamplers.0.conv`,
      `${up}.upsample.conv`,
    );
  }
  return names;
}
