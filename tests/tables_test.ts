import { assertEquals } from "@std/assert";
import {
  imageEncoderTable,
  textEncoderTable,
} from "../src/checkpoints/tables/clip.ts";
import { CheckpointConfig } from "../src/checkpoints/tables/config.ts";
import type { Table } from "../src/checkpoints/tables/table.ts";
import { attentionLayers, unetTable } from "../src/checkpoints/tables/unet.ts";
import { vaeTable } from "../src/checkpoints/tables/vae.ts";

const config = (json: Record<string, unknown>) =>
  new CheckpointConfig(json, "config.json");

Deno.test("tables: Stable Diffusion 1.5's networks have their known sizes", () => {
  const cross = "CrossAttnDownBlock2D";
  const up = "CrossAttnUpBlock2D";
  const unet = config({
    down_block_types: [cross, cross, cross, "DownBlock2D"],
    up_block_types: ["UpBlock2D", up, up, up],
    block_out_channels: [320, 640, 1280, 1280],
    layers_per_block: 2,
    cross_attention_dim: 768,
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
  const layers = attentionLayers(unet);
  assertEquals(layers.length, 32);
  assertEquals(
    [0, 11, 12, 29, 30].map((i) => layers[i].path.split(".transformer")[0]),
    [
      "down_blocks.0.attentions.0",
      "down_blocks.2.attentions.1",
      "up_blocks.1.attentions.0",
      "up_blocks.3.attentions.2",
      "mid_block.attentions.0",
    ],
  );
});
