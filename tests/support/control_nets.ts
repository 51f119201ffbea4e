/**
 * ControlNets for the mini model, with random weights that
 * `tools/reference/controlnet.py` draws as well.
 *
 * @module
 */
import { MemorySource } from "../../src/base/bytes.ts";
import { planConversion } from "../../src/checkpoints/conversion.ts";
import { openCheckpoint } from "../../src/checkpoints/open.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import { controlNetTable } from "../../src/checkpoints/tables/controlnet.ts";
import type { Table } from "../../src/checkpoints/tables/table.ts";
import {
  ControlNetFile,
  readControlNet,
} from "../../src/generate/controlnet_file.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import {
  randomValues,
  startingDistributions,
} from "../../tools/random_checkpoint/distributions.ts";
import { type GoldenTensor, safetensorsFile } from "./safetensors.ts";
import { join, weaveBytes } from "./weights.ts";

/** `config.json` of a ControlNet of the mini model's topology. */
export const MINI_CONTROLNET = {
  _class_name: "ControlNetModel",
  conditioning_embedding_out_channels: [8, 16, 32],
  down_block_types: [
    "DownBlock2D",
    "CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D",
  ],
  block_out_channels: [48, 96, 128],
  layers_per_block: 1,
  cross_attention_dim: 128,
  attention_head_dim: 4,
  norm_num_groups: 16,
};

/** Values of a ControlNet's tensors, by diffusers' names. */
export function controlNetTensors(
  config: Readonly<Record<string, unknown>>,
  seed: number,
): Map<string, GoldenTensor> {
  const { rows } = tableOf(config);
  const distribution = startingDistributions(rows);
  return new Map(rows.map((row) => {
    const chunks = randomValues(row, distribution(row), seed, false);
    const bytes = join(
      Array.from(chunks, ({ buffer }) => new Uint8Array(buffer)),
    );
    return [row.name, {
      shape: [...row.shape],
      data: new Float32Array(bytes.buffer),
    }];
  }));
}

/** A ControlNet as a `*.weave` file. */
export async function controlNetBytes(
  seed: number,
  changes: Readonly<Record<string, unknown>> = {},
  dtype: ModelDtype = "f32",
): Promise<Uint8Array<ArrayBuffer>> {
  const config = { ...MINI_CONTROLNET, ...changes };
  const tensors = controlNetTensors(config, seed);
  const file = safetensorsFile(tensors);
  const checkpoint = await openCheckpoint(new MemorySource(file, "random"));
  const table = tableOf(config);
  const { tensors: written } = planConversion(table, [checkpoint], dtype);
  return await weaveBytes({
    component: "controlnet",
    config,
    tensors: written,
  });
}

const opened = new Map<number, Promise<ControlNetFile>>();

/** A ControlNet of the mini model, made once for all tests of a process. */
export function miniControlNet(seed: number): Promise<ControlNetFile> {
  let net = opened.get(seed);
  if (!net) opened.set(seed, net = openControlNet(seed));
  return net;
}

/** A ControlNet of another config, or stored as another type. */
export async function openControlNet(
  seed: number,
  changes: Readonly<Record<string, unknown>> = {},
  dtype: ModelDtype = "f32",
): Promise<ControlNetFile> {
  const bytes = await controlNetBytes(seed, changes, dtype);
  const net = await readControlNet(new MemorySource(bytes, "random.weave"));
  if (net instanceof ControlNetFile) return net;
  throw new Error("readControlNet gave something else");
}

function tableOf(config: Readonly<Record<string, unknown>>): Table {
  return controlNetTable(new CheckpointConfig(config, "config.json"));
}
