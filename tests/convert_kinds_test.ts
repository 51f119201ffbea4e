/**
 * Kinds of networks that diffusers and transformers support, but not this
 * project, are recognised by their configs.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { convertComponent, withFolder } from "./support/convert_component.ts";

/** diffusers' and transformers' keys, with values that are not supported here. */
const otherKinds: [component: string, keys: Record<string, unknown>][] = [
  ["unet", {
    center_input_sample: true,
    flip_sin_to_cos: false,
    freq_shift: 1,
    time_embedding_type: "fourier",
    time_embedding_dim: 17,
    time_embedding_act_fn: "silu",
    timestep_post_act: "silu",
    time_cond_proj_dim: 256,
    class_embed_type: "timestep",
    num_class_embeds: 3,
    class_embeddings_concat: true,
    addition_embed_type: "text",
    encoder_hid_dim: 5,
    encoder_hid_dim_type: "text_proj",
    act_fn: "gelu",
    conv_in_kernel: 1,
    conv_out_kernel: 1,
    downsample_padding: 0,
    resnet_time_scale_shift: "scale_shift",
    resnet_skip_time_act: true,
    resnet_out_scale_factor: 2,
    mid_block_type: "UNetMidBlock2D",
    mid_block_scale_factor: 2,
    num_attention_heads: 8,
    transformer_layers_per_block: [1, 2],
    reverse_transformer_layers_per_block: [1],
    use_linear_projection: true,
    only_cross_attention: [true, false],
    mid_block_only_cross_attention: true,
    dual_cross_attention: true,
    cross_attention_norm: "layer_norm",
    attention_type: "gated",
  }],
  ["vae", {
    act_fn: "relu",
    down_block_types: ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
    up_block_types: ["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
    mid_block_add_attention: false,
    use_quant_conv: false,
    use_post_quant_conv: false,
    shift_factor: 0.1,
    latents_mean: [1, 1, 1, 1],
    latents_std: [2, 2, 2, 2],
  }],
  ["text_encoder", { hidden_act: "gelu_new" }],
  ["image_encoder", { hidden_act: "gelu_pytorch_tanh", num_channels: 1 }],
];

for (const [component, keys] of otherKinds) {
  Deno.test(`configs: unsupported values of ${component} are refused by key`, () =>
    withFolder(async (folder) => {
      const name = `${component}/config.json`;
      const json = JSON.parse(
        await Deno.readTextFile(`${folder.path}/${name}`),
      );
      for (const [key, value] of Object.entries(keys)) {
        const own = { ...json, [key]: value };
        await folder.write(
          name,
          json.vision_config
            ? {
              ...json,
              vision_config: { ...json.vision_config, [key]: value },
            }
            : own,
        );
        const error = await assertRejects(
          () => convertComponent(folder, component),
          MasterWeaverError,
          key,
        );
        assertEquals(error.code, "bad-checkpoint", key);
      }
    }));
}

Deno.test("configs: those that diffusers writes for Stable Diffusion 1.5 are accepted", () =>
  withFolder(async (folder) => {
    const add = async (component: string, more: object) => {
      const path = `${folder.path}/${component}/config.json`;
      const json = JSON.parse(await Deno.readTextFile(path));
      await folder.write(`${component}/config.json`, { ...json, ...more });
      return await convertComponent(folder, component);
    };
    await add("unet", {
      dropout: 0,
      upcast_attention: false,
      ...Object.fromEntries(
        Object.keys(otherKinds[0][1]).map((key) => [key, null]),
      ),
      only_cross_attention: [false, false],
      mid_block_type: "UNetMidBlock2DCrossAttn",
      conv_in_kernel: 3,
      resnet_time_scale_shift: "default",
      resnet_out_scale_factor: 1,
      time_embedding_type: "positional",
      time_embedding_dim: 16,
      transformer_layers_per_block: 1,
      attention_type: "default",
      addition_embed_type_num_heads: 64,
    });
    await add("vae", {
      down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
      up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
      force_upcast: true,
      use_quant_conv: true,
      use_post_quant_conv: true,
      mid_block_add_attention: true,
      shift_factor: null,
      latents_mean: null,
      latents_std: null,
    });
  }));
