/**
 * The order in which a file has the modules of diffusers' networks.
 *
 * @module
 */

/** Modules of `UNet2DConditionModel`, `ControlNetModel` and `AutoencoderKL`, in the order they run. */
export const DIFFUSERS_ORDER: readonly string[] = [
  // An autoencoder's.
  "encoder",
  "quant_conv",
  "post_quant_conv",
  "decoder",
  // A network's.
  "conv_in",
  "time_embedding",
  "controlnet_cond_embedding",
  "down_blocks",
  "mid_block",
  "up_blocks",
  "controlnet_down_blocks",
  "controlnet_mid_block",
  // A ControlNet's layers that read an image.
  "blocks",
  "conv_norm_out",
  "conv_out",
  "linear_1",
  "linear_2",
  // A block's.
  "resnets",
  "attentions",
  "downsamplers",
  "upsamplers",
  "conv",
  // A transformer's.
  "norm",
  "proj_in",
  "transformer_blocks",
  "proj_out",
  // A layer's.
  "norm1",
  "attn1",
  "conv1",
  "time_emb_proj",
  "norm2",
  "attn2",
  "conv2",
  "conv_shortcut",
  "norm3",
  "ff",
  "net",
  "proj",
  "group_norm",
  "to_q",
  "to_k",
  "to_v",
  "to_out",
  "weight",
  "bias",
];
