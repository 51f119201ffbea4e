/**
 * What the evaluation's command line asks for.
 *
 * @module
 */
import { UsageError } from "../../src/host/exit.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { NINE_EDITS } from "../../src/train/evaluation/nine_edits.ts";
import {
  flag,
  oneOf,
  option,
  type Reader,
  refuse,
  repeatable,
  text,
  type Values,
  whole,
} from "../tool.ts";

/** What `--help` prints. */
export const USAGE =
  `Usage: deno run -A tools/evaluate.ts --data DIR [--adapter FILE]…

Makes images of people that an adapter was not trained on, each from one
reference and from several editing prompts, and measures them:
  CLIP-T           cosine of CLIP's embeddings of the image and its prompt
  CLIP-I           cosine of CLIP's embeddings of the image and the reference
  face similarity  cosine of the identity head's embeddings of both faces
  edit first       how often the asked edit is closest among nine, by CLIP-T
All with 95 % intervals of a bootstrap over people. What the model's
evaluation.weave lacks is not measured, and the report says so.

  --data DIR         held-out people, in the layout of Filtered-LAION-Face, such
                     as tools/dataset.ts portraits makes
  --model DIR        a converted model (weights/mini)
  --adapter FILE     an identity adapter, .weave or .pt (the model's own); with
                     several, the gain over the first is reported, too
  --identities N     people, at equal steps through the data (16)
  --edits N          prompts of each, the first N of the nine (5)
  --steps N          denoising steps (15)
  --guidance-scale X how strongly the prompt is followed (5)
  --id-scale X       how strongly the identity is followed (1)
  --seed N           noise of the images, and draws of the intervals (42)
  --dtype f16|f32    storage of activations (f32, as PyTorch's figures)
  --sheet FILE       a contact sheet as PNG: a row for each person, the reference
                     first, then the images of each adapter; --json says which
  --json             one JSON object on stdout instead of the table
  --quiet            no progress
  -h, --help         this text`;

const decimal =
  (least: number, most: number): Reader<number> => (value, name) =>
    /^\d+(\.\d+)?$/.test(value) && Number(value) >= least &&
      Number(value) <= most
      ? Number(value)
      : refuse(name, value, `a number from ${least} to ${most}`);

/** The command's options. */
export const OPTIONS = {
  model: option(text, "weights/mini"),
  data: option(text),
  adapter: repeatable(text),
  identities: option(whole(1, 100_000), "16"),
  edits: option(whole(1, NINE_EDITS.length), "5"),
  steps: option(whole(1, 1000), "15"),
  "guidance-scale": option(decimal(0, 100), "5"),
  "id-scale": option(decimal(0, 10), "1"),
  seed: option(whole(0), "42"),
  dtype: option(oneOf(["f16", "f32"]), "f32"),
  sheet: option(text),
  json: flag,
  quiet: flag,
};

/** How images are made. */
export interface Protocol {
  /** How many people, at most. */
  readonly identities: number;
  /** How many of the nine edits are asked for. */
  readonly edits: number;
  /** Denoising steps. */
  readonly steps: number;
  /** How strongly the prompt is followed. */
  readonly guidanceScale: number;
  /** How strongly the identity is followed. */
  readonly idScale: number;
  /** Image k of person i has the noise of seed + 1000 i + k. */
  readonly seed: number;
}

/** What is to be evaluated. */
export interface Request {
  /** The model's folder. */
  readonly model: string;
  /** The data set's root. */
  readonly data: string;
  /** Files of adapters; none stands for the model's own. */
  readonly adapters: readonly string[];
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** Where the contact sheet goes. */
  readonly sheet?: string;
  /** How images are made. */
  readonly protocol: Protocol;
}

/**
 * Reads the options' values.
 *
 * @throws {UsageError} where no data is given
 */
export function requestOf(values: Values<typeof OPTIONS>): Request {
  const { model, data, adapter, dtype, sheet, ...given } = values;
  if (!data) throw new UsageError("Give --data");
  const { identities, edits, steps, seed } = given;
  return {
    model,
    data,
    adapters: adapter ?? [],
    dtype,
    sheet,
    protocol: {
      identities,
      edits,
      steps,
      guidanceScale: given["guidance-scale"],
      idScale: given["id-scale"],
      seed,
    },
  };
}
