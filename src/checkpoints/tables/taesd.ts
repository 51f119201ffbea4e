/**
 * The table of the tiny autoencoder (TAESD), in diffusers' names and in those of
 * its first release, which has a file for each half.
 *
 * @module
 */
import { taesdDecode, taesdEncode } from "../../models/taesd.ts";
import { badCheckpoint, type Checkpoint } from "../checkpoint.ts";
import type { CheckpointConfig } from "./config.ts";
import { requestedWeights } from "./requested_weights.ts";
import { plainRow, type Table } from "./table.ts";

/** What diffusers' `AutoencoderTiny` is by default, and TAESD for Stable Diffusion 1. */
export const STANDARD_TAESD_CONFIG = {
  in_channels: 3,
  out_channels: 3,
  encoder_block_out_channels: [64, 64, 64, 64],
  decoder_block_out_channels: [64, 64, 64, 64],
  num_encoder_blocks: [1, 3, 3, 3],
  num_decoder_blocks: [3, 3, 3, 1],
  latent_channels: 4,
  upsampling_scaling_factor: 2,
  act_fn: "relu",
  upsample_fn: "nearest",
  scaling_factor: 1,
} as const;

const ORDER = [
  "encoder",
  "decoder",
  "layers",
  "conv",
  "weight",
  "bias",
];

/** The first release's decoder has one more layer before all others. */
const SHIFT = 1;

/** Which halves of the tiny autoencoder a checkpoint may be. */
type TaesdHalf = "decoder" | "encoder";
const HALVES: readonly TaesdHalf[] = ["encoder", "decoder"];

/** Which halves a file has, by the names of its tensors. */
function taesdHalves({ tensors }: Named): readonly TaesdHalf[] {
  const names = [...tensors.keys()];
  return HALVES.filter((half) => {
    const block = new RegExp(
      `^${half}\\.(layers\\.)?\\d+\\.conv\\.0\\.weight$`,
    );
    return isFirstRelease({ tensors }, half) ||
      names.some((name) => block.test(name));
  });
}

/** What has tensors with names. */
export interface Named {
  /** By name. */
  readonly tensors: ReadonlyMap<string, unknown>;
}

/** Whether a file is one half under the names of the first release: numbers alone. */
function isFirstRelease({ tensors }: Named, half: TaesdHalf): boolean {
  // An encoder's first convolution is at 0 and its first block at 1; a decoder's
  // are at 1 and 3.
  const first = half === "encoder" ? [0, 1] : [1, 3];
  return tensors.has(`${first[0]}.weight`) &&
    tensors.has(`${first[1]}.conv.0.weight`);
}

/**
 * The table of a tiny autoencoder; of one half, where its files have no other.
 *
 * @param config diffusers' `config.json`
 * @param files its checkpoints
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function taesdTable(
  config: CheckpointConfig,
  files: readonly (Named & { readonly name: string })[],
): Table {
  config.only("in_channels", 3, "an image's");
  config.only("out_channels", 3, "an image's");
  config.only("act_fn", "relu", "the only activation known");
  const halves = files.flatMap((file) => taesdHalves(file));
  if (!halves.includes("decoder")) {
    throw badCheckpoint(
      files[0].name,
      "it has no decoder; give taesd_decoder beside it, or the whole of diffusers' folder",
    );
  }
  const decoderChannels = config.sizes("decoder_block_out_channels");
  const factor = 2 ** (decoderChannels.length - 1);
  const latentChannels = config.size("latent_channels");
  const levels = decoderChannels.length;
  const blocks = (key: string) => listOf(config, key, levels);
  const sizes = {
    encoderChannels: blocks("encoder_block_out_channels"),
    encoderBlocks: blocks("num_encoder_blocks"),
    decoderChannels,
    decoderBlocks: blocks("num_decoder_blocks"),
    latentChannels,
    scalingFactor: 1,
    factor,
  };
  const weights = requestedWeights({
    component: "taesd",
    config,
    order: ORDER,
    overImages: ["encoder.layers.0"],
    build: (g, w) => {
      if (halves.includes("encoder")) {
        taesdEncode(g.input("image", [1, factor, factor, 4], "f32"), w, sizes);
      }
      taesdDecode(
        g.input("latents", [1, 1, 1, latentChannels], "f32"),
        w,
        sizes,
      );
    },
  });
  const rows = weights.map((weight) => plainRow(weight, namesOf(weight.name)));
  return { component: "taesd", rows, dropped: [] };
}

/** A list of as many sizes as there are levels. */
function listOf(
  config: CheckpointConfig,
  key: string,
  levels: number,
): readonly number[] {
  const list = config.sizes(key);
  if (list.length === levels) return list;
  throw config.wrongSizes(
    new RangeError(`${key} has ${list.length} levels, expected ${levels}`),
  );
}

/** The names a tensor may have, the usual one first. */
function namesOf(name: string): string[] {
  const [, half, layer, rest] = /^(decoder|encoder)\.layers\.(\d+)\.(.+)$/.exec(
    name,
  )!;
  const number = Number(layer) + (half === "decoder" ? SHIFT : 0);
  return [name, `${half}.${number}.${rest}`];
}

/**
 * A half's file with its names made distinct from the other half's, which are
 * numbers, too.
 *
 * @param checkpoint a file; any other comes back as it is
 */
export function withHalfNamed(checkpoint: Checkpoint): Checkpoint {
  const half = HALVES.find((half) => isFirstRelease(checkpoint, half));
  if (half === undefined) return checkpoint;
  return {
    ...checkpoint,
    tensors: new Map(
      [...checkpoint.tensors].map(([name, tensor]) => [
        `${half}.${name}`,
        { ...tensor, name: `${half}.${name}` },
      ]),
    ),
  };
}
