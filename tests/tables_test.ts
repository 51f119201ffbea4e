import { assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  imageEncoderTable,
  textEncoderTable,
} from "../src/checkpoints/tables/clip.ts";
import {
  controlNetTable,
  ldmControlNetTable,
} from "../src/checkpoints/tables/controlnet.ts";
import { CheckpointConfig } from "../src/checkpoints/tables/config.ts";
import type { Table } from "../src/checkpoints/tables/table.ts";
import {
  identityAdapterTable,
  STANDARD_ADAPTER_CONFIG,
} from "../src/checkpoints/tables/identity_adapter.ts";
import { SD15_CONTROLNET_CONFIG } from "../src/checkpoints/tables/stable_diffusion.ts";
import { unetTable } from "../src/checkpoints/tables/unet.ts";
import { vaeTable } from "../src/checkpoints/tables/vae.ts";
import { inFileOrder } from "../src/checkpoints/tables/requested_weights.ts";
import { attentionLayers } from "./support/attention_layers.ts";

const config = (json: Record<string, unknown>) =>
  new CheckpointConfig(json, "config.json");

Deno.test("tables: Stable Diffusion 1.5's networks have their known sizes", () => {
  const cross = "CrossAttnDownBlock2D";
  const up = "CrossAttnUpBlock2D";
  const blocks = {
    down_block_types: [cross, cross, cross, "DownBlock2D"],
    up_block_types: ["UpBlock2D", up, up, up],
    block_out_channels: [320, 640, 1280, 1280],
    layers_per_block: 2,
    cross_attention_dim: 768,
  };
  const unet = config(blocks);
  const control = config({
    ...blocks,
    conditioning_embedding_out_channels: [16, 32, 96, 256],
  });
  const vae = config({
    block_out_channels: [128, 256, 512, 512],
    layers_per_block: 2,
    latent_channels: 4,
  });
  const text = config({
    vocab_size: 49408,
    hidden_size: 768,
    intermediate_size: 3072,
    num_hidden_layers: 12,
    max_position_embeddings: 77,
  });
  const vision = config({
    hidden_size: 1024,
    intermediate_size: 4096,
    num_hidden_layers: 24,
    image_size: 224,
    patch_size: 14,
  });
  // Tensors and parameters as published for the checkpoints.
  const cases: [Table, number, number][] = [
    [unetTable(unet), 686, 859_520_964],
    [unetTable(config({ ...blocks, in_channels: 9 })), 686, 859_535_364],
    [controlNetTable(control), 340, 361_279_120],
    [ldmControlNetTable(control, "control_model."), 340, 361_279_120],
    [vaeTable(vae), 248, 83_653_863],
    [textEncoderTable(text), 196, 123_060_480],
    [imageEncoderTable(vision), 391, 303_179_776],
  ];
  for (const [{ component, rows }, tensors, parameters] of cases) {
    const found = rows.reduce(
      (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
      0,
    );
    assertEquals([rows.length, found], [tensors, parameters], component);
  }
  const layers = attentionLayers(blocks);
  assertEquals(layers.length, 32);
  assertEquals(
    [0, 11, 12, 29, 30].map((i) => layers[i].split(".transformer")[0]),
    [
      "down_blocks.0.attentions.0",
      "down_blocks.2.attentions.1",
      "up_blocks.1.attentions.0",
      "up_blocks.3.attentions.2",
      "mid_block.attentions.0",
    ],
  );
  const adapter = identityAdapterTable(
    config(STANDARD_ADAPTER_CONFIG),
    unet,
    1024,
  );
  const modules = adapter.rows.filter(({ name }) => name.includes("_img."));
  assertEquals(
    modules.map(({ name, from }) => [name, from[0].names]),
    layers.flatMap((path, i) =>
      path.endsWith("attn1") ? [] : ["to_k_img", "to_v_img"].map((name) => [
        `${path}.${name}.weight`,
        [`adapter_modules.${i}.${name}.weight`],
      ])
    ),
  );
});

Deno.test("tables: names of a ControlNet in both layouts", () => {
  const { rows } = ldmControlNetTable(config(SD15_CONTROLNET_CONFIG), "");
  const names = new Map(rows.map((row) => [row.name, row.from[0]]));
  assertEquals(new Set(rows.map(({ from }) => from[0].names[0])).size, 340);
  // As diffusers' own conversion of the published checkpoints has them.
  const expected: [string, string, number[]][] = [
    ["conv_in.bias", "input_blocks.0.0.bias", [320]],
    [
      "controlnet_cond_embedding.conv_in.weight",
      "input_hint_block.0.weight",
      [16, 3, 3, 3],
    ],
    [
      "controlnet_cond_embedding.blocks.5.weight",
      "input_hint_block.12.weight",
      [256, 96, 3, 3],
    ],
    [
      "controlnet_cond_embedding.conv_out.bias",
      "input_hint_block.14.bias",
      [320],
    ],
    [
      "controlnet_down_blocks.0.weight",
      "zero_convs.0.0.weight",
      [320, 320, 1, 1],
    ],
    [
      "controlnet_down_blocks.11.bias",
      "zero_convs.11.0.bias",
      [1280],
    ],
    ["controlnet_mid_block.bias", "middle_block_out.0.bias", [1280]],
    [
      "down_blocks.1.attentions.1.transformer_blocks.0.attn2.to_v.weight",
      "input_blocks.5.1.transformer_blocks.0.attn2.to_v.weight",
      [640, 768],
    ],
    [
      "mid_block.resnets.1.conv2.weight",
      "middle_block.2.out_layers.3.weight",
      [1280, 1280, 3, 3],
    ],
  ];
  for (const [name, ldm, shape] of expected) {
    assertEquals(names.get(name), { names: [ldm], shape });
  }
});

Deno.test("tables: what PyTorch keeps as it is not kept here", () => {
  const vae = vaeTable(config({
    block_out_channels: [4, 8],
    layers_per_block: 1,
    latent_channels: 4,
  }));
  const row = (name: string) => vae.rows.find((row) => row.name === name);
  // PyTorch's images have no fourth channel; its latents do.
  assertEquals(row("encoder.conv_in.weight")?.shape, [4, 3, 3, 3]);
  assertEquals(row("decoder.conv_in.weight")?.shape, [8, 4, 3, 3]);
  assertEquals(
    row("decoder.mid_block.attentions.0.to_out.0.bias")?.from[0].names,
    [
      "decoder.mid_block.attentions.0.to_out.0.bias",
      "decoder.mid_block.attentions.0.proj_attn.bias",
    ],
  );
});

Deno.test("tables: a file's order is by segment, with alternating layers", () => {
  const order = ["conv_in", "blocks", "resnets", "attentions", "down", "bias"];
  const names = [
    "blocks.10.down.bias",
    "blocks.2.resnets.1.bias",
    "blocks.2.attentions.0.bias",
    "blocks.2.down.bias",
    "blocks.10.resnets.0.bias",
    "blocks.2.resnets.0.bias",
    "conv_in.bias",
  ];
  assertEquals(
    inFileOrder(names.map((name) => ({ name, shape: [] })), order)
      .map(({ name }) => name),
    [
      "conv_in.bias",
      "blocks.2.resnets.0.bias",
      "blocks.2.attentions.0.bias",
      "blocks.2.resnets.1.bias",
      "blocks.2.down.bias",
      "blocks.10.resnets.0.bias",
      "blocks.10.down.bias",
    ],
  );
  assertThrows(
    () => inFileOrder([{ name: "blocks.0.up.bias", shape: [] }], order),
    RangeError,
    "No order is known for up of blocks.0.up.bias",
  );
});

Deno.test("tables: sizes that do not make a network are refused by file", () => {
  const error = assertThrows(
    () =>
      vaeTable(config({
        block_out_channels: [6, 8],
        layers_per_block: 1,
        latent_channels: 4,
      })),
    MasterWeaverError,
    "Cannot use config.json: its sizes do not make a network (",
  );
  assertEquals(error.code, "bad-checkpoint");
});
