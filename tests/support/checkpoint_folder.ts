/**
 * Makes a whole checkpoint in diffusers' layout, with tiny networks.
 *
 * @module
 */
import {
  imageEncoderTable,
  textEncoderTable,
} from "../../src/checkpoints/tables/clip.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import { faceParserTable } from "../../src/checkpoints/tables/face_parser.ts";
import { identityAdapterTable } from "../../src/checkpoints/tables/identity_adapter.ts";
import type { Table } from "../../src/checkpoints/tables/table.ts";
import { unetTable } from "../../src/checkpoints/tables/unet.ts";
import { vaeTable } from "../../src/checkpoints/tables/vae.ts";
import { random, safetensorsBytes } from "./weights.ts";

/** A tiny UNet. */
export const UNET = {
  _class_name: "UNet2DConditionModel",
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"],
  block_out_channels: [4, 8],
  layers_per_block: 1,
  cross_attention_dim: 8,
  attention_head_dim: 2,
  norm_num_groups: 2,
};
/** A tiny autoencoder. */
export const VAE = {
  _class_name: "AutoencoderKL",
  block_out_channels: [4, 8],
  layers_per_block: 1,
  latent_channels: 4,
  norm_num_groups: 2,
};
const TOWER = {
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
};
/** A tiny text encoder. */
export const TEXT = { ...TOWER, vocab_size: 5, max_position_embeddings: 5 };
/** A tiny vision tower. */
export const VISION = { ...TOWER, image_size: 4, patch_size: 2 };
/** A tiny adapter. */
export const ADAPTER = {
  num_tokens: 2,
  depth: 1,
  dim_head: 4,
  heads: 2,
  ff_mult: 2,
  max_references: 3,
  align_faces: false,
};
/** A noise schedule. */
export const SCHEDULER = { _class_name: "DDIMScheduler", beta_end: 0.012 };
/** A tiny vision tower's preprocessor. */
export const PREPROCESSOR = {
  size: 4,
  crop_size: 4,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};
/** Ids of a tiny tokenizer's tokens, out of order. */
export const VOCAB = {
  "b</w>": 2,
  a: 0,
  "#": 1,
  "<|endoftext|>": 4,
  "<|startoftext|>": 3,
};
/** A tiny face parser. */
export const PARSER = { n_classes: 3, width: 4, input_size: 32 };

/** A config that a table reads. */
export const config = (json: Record<string, unknown>): CheckpointConfig =>
  new CheckpointConfig(json, "config.json");

/** Tensors of a checkpoint, by name. */
export type Tensors = Record<string, { shape: number[]; data: number[] }>;

/** A checkpoint that fits a table: values of k / 64, which f16 holds exactly. */
export function checkpointOf(table: Table, seed: number): Tensors {
  const next = random(seed);
  const tensors: Tensors = {};
  for (const { names, shape } of table.rows.flatMap(({ from }) => from)) {
    const name = names.at(-1)!; // the old name, where there are two
    const count = shape.reduce((a, b) => a * b, 1);
    // Variances must be positive.
    const data = Array.from({ length: count }, () => (next(127) + 1) / 64);
    tensors[name] ??= { shape: [...shape], data };
  }
  return tensors;
}

/** A checkpoint on disk. */
export interface Folder {
  /** Its path. */
  readonly path: string;
  /** The tensors of its networks. */
  readonly tensors: Record<string, Tensors>;
  /** Replaces a file: JSON, text, or tensors as safetensors. */
  write(name: string, content: Tensors | object | string): Promise<void>;
}

/** Makes a whole tiny checkpoint in diffusers' layout. */
export async function makeFolder(): Promise<Folder> {
  const path = await Deno.makeTempDir();
  for (
    const name of [
      "unet",
      "vae",
      "text_encoder",
      "tokenizer",
      "scheduler",
      "image_encoder",
    ]
  ) await Deno.mkdir(`${path}/${name}`);
  const write = async (name: string, content: Tensors | object | string) => {
    const bytes = typeof content === "string"
      ? new TextEncoder().encode(content)
      : name.endsWith(".json")
      ? new TextEncoder().encode(JSON.stringify(content))
      : safetensorsBytes(content as Tensors);
    await Deno.writeFile(`${path}/${name}`, bytes);
  };
  const tables = {
    unet: unetTable(config(UNET)),
    vae: vaeTable(config(VAE)),
    text_encoder: textEncoderTable(config(TEXT)),
    image_encoder: imageEncoderTable(config(VISION)),
    identity_adapter: identityAdapterTable(config(ADAPTER), config(UNET), 8),
    face_parser: faceParserTable(config(PARSER)),
  };
  const tensors = Object.fromEntries(
    Object.entries(tables).map(([name, table], i) => [
      name,
      checkpointOf(table, i),
    ]),
  );
  await write("model_index.json", {});
  await write("unet/config.json", UNET);
  await write("unet/model.safetensors", tensors.unet);
  await write("scheduler/scheduler_config.json", SCHEDULER);
  await write("vae/config.json", VAE);
  await write("vae/model.safetensors", tensors.vae);
  await write("text_encoder/config.json", {
    model_type: "clip_text_model",
    ...TEXT,
  });
  await write("text_encoder/model.safetensors", tensors.text_encoder);
  await write("tokenizer/vocab.json", VOCAB);
  await write("tokenizer/merges.txt", "#version: 0.2\na b</w>\n# a\n");
  await write("image_encoder/config.json", {
    model_type: "clip",
    vision_config: VISION,
    text_config: {},
  });
  await write("image_encoder/preprocessor_config.json", PREPROCESSOR);
  await write("image_encoder/model.safetensors", {
    ...tensors.image_encoder,
    "text_model.final_layer_norm.weight": { shape: [1], data: [1] },
    "vision_model.embeddings.position_ids": { shape: [1], data: [0] },
    logit_scale: { shape: [], data: [1] },
  });
  await write("adapter_config.json", ADAPTER);
  await write("adapter_final.pt", tensors.identity_adapter);
  await write("face_parser_config.json", PARSER);
  await write("face_parser.pth", {
    ...tensors.face_parser,
    "conv_out16.conv.conv.weight": { shape: [1], data: [1] },
  });
  return { path, tensors, write };
}
