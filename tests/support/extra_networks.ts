/**
 * Tiny autoencoders and upscalers whose weights are drawn, converted as people's
 * files are.
 *
 * @module
 */
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import {
  STANDARD_TAESD_CONFIG,
  taesdTable,
} from "../../src/checkpoints/tables/taesd.ts";
import type { Table } from "../../src/checkpoints/tables/table.ts";
import { upscalerTable } from "../../src/checkpoints/tables/upscaler.ts";
import { vaeTable } from "../../src/checkpoints/tables/vae.ts";
import { FileSource } from "../../src/host/files.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import { convert } from "../../tools/convert.ts";
import { drawnCheckpoint } from "./drawn_weights.ts";
import { safetensorsBytes } from "./weights.ts";

/** The small tiny autoencoder of `tools/reference/tiles.py`. */
export const SMALL_TAESD: JsonObject = {
  ...STANDARD_TAESD_CONFIG,
  encoder_block_out_channels: [8, 8, 8],
  decoder_block_out_channels: [8, 8, 8],
  num_encoder_blocks: [1, 2, 1],
  num_decoder_blocks: [2, 1, 1],
};

/** The autoencoder of `tools/reference/tiles.py`, whose tiles have 16 pixels a side. */
export const TILED_VAE: JsonObject = {
  _class_name: "AutoencoderKL",
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
  block_out_channels: [8, 16],
  layers_per_block: 1,
  latent_channels: 4,
  norm_num_groups: 4,
  sample_size: 16,
};

/** The sizes of an upscaler of `tools/reference/tiles.py`. */
export function smallUpscaler(scale: 2 | 4): JsonObject {
  return {
    architecture: "RRDBNet",
    num_feat: 8,
    num_grow_ch: 4,
    num_block: 2,
    doublings: 2,
    pixel_unshuffle: 4 / scale,
  };
}

const config = (json: JsonObject) => new CheckpointConfig(json, "config.json");

/** The table of a tiny autoencoder with both halves. */
export function wholeTaesdTable(json: JsonObject): Table {
  const names = [
    "encoder.layers.1.conv.0.weight",
    "decoder.layers.2.conv.0.weight",
  ];
  const tensors = new Map(names.map((name) => [name, null]));
  return taesdTable(config(json), [{ name: "taesd", tensors }]);
}

/** Tensors of a checkpoint, by name. */
export type DrawnTensors = ReturnType<typeof drawnCheckpoint>;

/** The small tiny autoencoder's tensors, with diffusers' names. */
export function taesdTensors(json: JsonObject): DrawnTensors {
  return drawnCheckpoint(wholeTaesdTable(json), 0.7);
}

/** An upscaler's tensors, with the names that `name` picks of those it may have. */
export function upscalerTensors(
  scale: 2 | 4,
  name?: (names: readonly string[]) => string,
): DrawnTensors {
  return drawnCheckpoint(upscalerTable(config(smallUpscaler(scale))), 1, name);
}

/** Files in a folder of their own, converted. */
export interface Converted extends AsyncDisposable {
  /** The folder with the results. */
  readonly output: string;
  /** What was written, by component. */
  readonly sources: ReadonlyMap<string, FileSource>;
  /** What the user was told. */
  readonly lines: readonly string[];
}

/**
 * Writes checkpoints and converts them.
 *
 * @param files tensors or JSON, by name
 * @param inputs the files to convert; the folder by default
 */
export async function convertFiles(
  files: Readonly<Record<string, DrawnTensors | JsonObject>>,
  inputs?: readonly string[],
  dtype: "f32" | "f16" = "f32",
): Promise<Converted> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    const bytes = name.endsWith(".json")
      ? new TextEncoder().encode(JSON.stringify(content))
      : safetensorsBytes(content as DrawnTensors);
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
  const output = `${folder}/out`;
  const lines: string[] = [];
  const written = await convert({
    inputs: inputs?.map((name) => `${folder}/${name}`) ?? [folder],
    output,
    dtype,
    report: (line) => lines.push(line),
  });
  const sources = new Map<string, FileSource>();
  for (const { component, file } of written) {
    sources.set(component, stack.use(await FileSource.open(file)));
  }
  const owned = stack.move();
  return {
    output,
    sources,
    lines,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The autoencoder whose tiles have 16 pixels a side. */
export function convertTiledVae(): Promise<Converted> {
  const table = vaeTable(config(TILED_VAE));
  return convertFiles({
    "config.json": TILED_VAE,
    "diffusion_pytorch_model.safetensors": drawnCheckpoint(table),
  });
}

/** A checkpoint of names alone, for what only looks at names and shapes. */
export function namesOnly(
  shapes: Readonly<Record<string, readonly number[]>>,
): Checkpoint {
  return {
    name: "a.pth",
    kind: "safetensors",
    otherValues: 0,
    metadata: {},
    verify: () => Promise.resolve(),
    tensors: new Map(
      Object.entries(shapes).map(([name, shape]) => [name, {
        name,
        shape,
        dtype: "F32" as const,
        bytes: 0,
        read: () => Promise.resolve(new Uint8Array()),
      }]),
    ),
  };
}
