/**
 * The table of RRDBNet, the network of ESRGAN and Real-ESRGAN, in all names it has
 * had.
 *
 * @module
 */
import { inputChannels, rrdbConfig, rrdbNet } from "../../models/rrdbnet.ts";
import { MasterWeaverError } from "../../base/errors.ts";
import type { JsonObject } from "../../weights/weave.ts";
import { badCheckpoint, type Checkpoint } from "../checkpoint.ts";
import type { CheckpointConfig } from "./config.ts";
import { requestedWeights } from "./requested_weights.ts";
import { plainRow, type Table } from "./table.ts";

/** Modules of the network, in the file's order. */
const ORDER = [
  "conv_first",
  "body",
  "rdb1",
  "rdb2",
  "rdb3",
  "conv1",
  "conv2",
  "conv3",
  "conv4",
  "conv5",
  "conv_body",
  "conv_up1",
  "conv_up2",
  "conv_up3",
  "conv_up4",
  "conv_hr",
  "conv_last",
  "weight",
  "bias",
];

/** Input channels by how many pixels along each side become one. */
const UNSHUFFLE: Readonly<Record<number, number>> = { 3: 1, 12: 2, 48: 4 };

/**
 * The sizes of an upscaler, from the shapes of its tensors.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where it is for anything but images of three colours
 */
export function upscalerSizes({ name, tensors }: Checkpoint): JsonObject {
  const names = [...tensors.keys()];
  const shape = (...alternatives: string[]): readonly number[] => {
    const found = alternatives.find((name) => tensors.has(name));
    if (found !== undefined) return tensors.get(found)!.shape;
    throw badCheckpoint(name, `it has no ${alternatives.join(" or ")}`);
  };
  const [features, channels] = shape("conv_first.weight", "model.0.weight");
  const [growth] = shape(
    "body.0.rdb1.conv1.weight",
    "model.1.sub.0.RDB1.conv1.0.weight",
    "RRDB_trunk.0.RDB1.conv1.weight",
  );
  const unshuffle = Object.hasOwn(UNSHUFFLE, channels)
    ? UNSHUFFLE[channels]
    : undefined;
  if (unshuffle === undefined) {
    throw badCheckpoint(
      name,
      `it is an upscaler whose input has ${channels} channels, expected 3, 12 or 48, of colour images`,
    );
  }
  const blocks =
    names.filter((name) =>
      /^(body\.\d+\.rdb1\.conv1|model\.1\.sub\.\d+\.RDB1\.conv1\.0|RRDB_trunk\.\d+\.RDB1\.conv1)\.weight$/
        .test(name)
    ).length;
  return {
    architecture: "RRDBNet",
    num_feat: features,
    num_grow_ch: growth,
    num_block: blocks,
    doublings: doublingsOf(names),
    pixel_unshuffle: unshuffle,
  };
}

/** How often an upscaler doubles its features' size, by its tensors' names. */
function doublingsOf(names: readonly string[]): number {
  const named =
    names.filter((name) => /^(conv_up|upconv)\d+\.weight$/.test(name)).length;
  if (named > 0 || !names.includes("model.0.weight")) return named;
  // In ESRGAN's numbered layers the last comes at 4, and 3 later for each doubling.
  const numbers = names.map((name) => /^model\.(\d+)\.weight$/.exec(name)?.[1]);
  const last = Math.max(...numbers.map((number) => Number(number ?? 0)));
  return Math.max(0, Math.round((last - 4) / 3));
}

/**
 * The table of an upscaler.
 *
 * @param config as {@linkcode upscalerSizes} makes it
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function upscalerTable(config: CheckpointConfig): Table {
  const sizes = sizesOf(config);
  const weights = requestedWeights({
    component: "upscaler",
    config,
    order: ORDER,
    overImages: sizes.unshuffle === 1 ? ["conv_first"] : [],
    build: (g, w) => {
      rrdbNet(
        g.input("image", [1, 1, 1, inputChannels(sizes)], "f32"),
        w,
        sizes,
      );
    },
  });
  const { blocks, doublings } = sizes;
  const rows = weights.map((weight) =>
    plainRow(weight, namesOf(weight.name, blocks, doublings))
  );
  return { component: "upscaler", rows, dropped: [] };
}

function sizesOf(config: CheckpointConfig) {
  config.layers("num_block");
  try {
    return rrdbConfig(config.json);
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    throw config.wrongSizes(error);
  }
}

/** The names a tensor may have: Real-ESRGAN's, ESRGAN's numbered ones, and those between. */
function namesOf(name: string, blocks: number, doublings: number): string[] {
  const [, path, rest] = /^(.+)\.(weight|bias)$/.exec(name)!;
  const block = /^body\.(\d+)\.rdb(\d)\.(conv\d)$/.exec(path);
  if (block) {
    const [, i, j, conv] = block;
    return [
      name,
      `model.1.sub.${i}.RDB${j}.${conv}.0.${rest}`,
      `RRDB_trunk.${i}.RDB${j}.${conv}.${rest}`,
    ];
  }
  const up = /^conv_up(\d)$/.exec(path)?.[1];
  const [numbered, between] = up !== undefined
    ? [`model.${3 * Number(up)}`, `upconv${up}`]
    : {
      conv_first: ["model.0", "conv_first"],
      conv_body: [`model.1.sub.${blocks}`, "trunk_conv"],
      conv_hr: [`model.${2 + 3 * doublings}`, "HRconv"],
      conv_last: [`model.${4 + 3 * doublings}`, "conv_last"],
    }[path]!;
  return [...new Set([name, `${numbered}.${rest}`, `${between}.${rest}`])];
}
