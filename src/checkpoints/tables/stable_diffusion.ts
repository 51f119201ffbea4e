/**
 * The configurations of Stable Diffusion 1.5 and of CLIP ViT-L/14, for files
 * that come without their own, as single files do.
 *
 * @module
 */

const ATTENTION_DOWN = "CrossAttnDownBlock2D";
const ATTENTION_UP = "CrossAttnUpBlock2D";

/** `unet/config.json` of Stable Diffusion 1.5; all of version 1 share it. */
export const SD15_UNET_CONFIG = {
  _class_name: "UNet2DConditionModel",
  sample_size: 64,
  in_channels: 4,
  out_channels: 4,
  down_block_types: [
    ATTENTION_DOWN,
    ATTENTION_DOWN,
    ATTENTION_DOWN,
    "DownBlock2D",
  ],
  up_block_types: ["UpBlock2D", ATTENTION_UP, ATTENTION_UP, ATTENTION_UP],
  block_out_channels: [320, 640, 1280, 1280],
  layers_per_block: 2,
  cross_attention_dim: 768,
  // The number of heads, whatever the key says.
  attention_head_dim: 8,
  norm_num_groups: 32,
  norm_eps: 1e-5,
  act_fn: "silu",
  center_input_sample: false,
  downsample_padding: 1,
  flip_sin_to_cos: true,
  freq_shift: 0,
  mid_block_scale_factor: 1,
} as const;

/** `config.json` of the ControlNets for it. */
export const SD15_CONTROLNET_CONFIG = {
  _class_name: "ControlNetModel",
  in_channels: 4,
  conditioning_channels: 3,
  down_block_types: SD15_UNET_CONFIG.down_block_types,
  block_out_channels: SD15_UNET_CONFIG.block_out_channels,
  layers_per_block: 2,
  cross_attention_dim: 768,
  // The number of heads, whatever the key says.
  attention_head_dim: 8,
  norm_num_groups: 32,
  norm_eps: 1e-5,
  act_fn: "silu",
  downsample_padding: 1,
  flip_sin_to_cos: true,
  freq_shift: 0,
  mid_block_scale_factor: 1,
  conditioning_embedding_out_channels: [16, 32, 96, 256],
  controlnet_conditioning_channel_order: "rgb",
  global_pool_conditions: false,
} as const;

/** `scheduler/scheduler_config.json`, as DDIM. */
export const SD15_SCHEDULER_CONFIG = {
  _class_name: "DDIMScheduler",
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
  prediction_type: "epsilon",
} as const;

/** `vae/config.json`; also of `sd-vae-ft-mse`. */
export const SD15_VAE_CONFIG = {
  _class_name: "AutoencoderKL",
  in_channels: 3,
  out_channels: 3,
  down_block_types: Array(4).fill("DownEncoderBlock2D"),
  up_block_types: Array(4).fill("UpDecoderBlock2D"),
  block_out_channels: [128, 256, 512, 512],
  layers_per_block: 2,
  latent_channels: 4,
  norm_num_groups: 32,
  sample_size: 512,
  scaling_factor: 0.18215,
  act_fn: "silu",
} as const;

/** `text_encoder/config.json`: CLIP ViT-L/14's text tower. */
export const SD15_TEXT_CONFIG = {
  model_type: "clip_text_model",
  vocab_size: 49408,
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  max_position_embeddings: 77,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
} as const;

/** `vision_config` of `openai/clip-vit-large-patch14`. */
export const VIT_L14_CONFIG = {
  model_type: "clip_vision_model",
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  image_size: 224,
  patch_size: 14,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
} as const;

/** `preprocessor_config.json` of `openai/clip-vit-large-patch14`. */
export const VIT_L14_PREPROCESSOR_CONFIG = {
  crop_size: 224,
  do_center_crop: true,
  do_normalize: true,
  do_resize: true,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
  resample: 3,
  size: 224,
} as const;
