/**
 * What `tools/compare.ts` is asked for.
 *
 * @module
 */
import type { StorageType } from "../../src/gpu/gpu.ts";
import { UsageError } from "../../src/host/exit.ts";
import {
  flag,
  oneOf,
  option,
  repeatable,
  repositoryFile,
  talk,
  text,
  type Values,
  whole,
} from "../tool.ts";
import { type ComparedNetwork, NETWORKS } from "./passes.ts";

/** What `--help` prints. */
export const USAGE =
  `Usage: deno run -A tools/compare.ts MODEL --with REFERENCE.safetensors
       deno run -A tools/compare.ts MODEL… --with FOLDER

Runs each network of a converted model on the inputs in the file that
tools/reference/networks.py writes, and compares with PyTorch's outputs there.
With a folder: runs other conversions of one model (f16, q8, q4) on the same
inputs, made from a photo, a prompt and seeded noise, and compares with the
folder's own outputs.

  --network NAME   only this one (${NETWORKS.slice(0, 3).join(", ")},
                   ${NETWORKS.slice(3).join(", ")}); repeatable
  --dtype f32|f16  storage of activations (f32: then only weights differ)
  --markdown       the table as Markdown
  --json           one JSON object on stdout; null where two images are equal
  --quiet          no line for each output on stderr
  -h, --help       this text

With a folder only:
  --pictures N     also compare N finished images (0)
  --no-networks    compare images alone
  --steps N        denoising steps of an image (30)
  --size N         side of images in pixels (the model's own)
  --ref FILE       reference photo (weights/mini/demo.png)
  --prompt TEXT    ("a photo of a smiling woman with red hair")
  --seed N         of the noise; of more images N + 1, … (42)

NMSE = Σ(a−b)² / Σb². Exit code: 0, 1 = it failed or a limit against PyTorch is
missed, 2 = wrong usage.`;

/** Options that compare conversions alone. */
const CONVERSION_OPTIONS = [
  "pictures",
  "no-networks",
  "steps",
  "size",
  "ref",
  "prompt",
  "seed",
] as const;

/** What was asked for. */
export interface Request {
  /** Folders of the models to compare. */
  readonly models: readonly string[];
  /** What they are compared with: a reference file or a model's folder. */
  readonly with: string;
  /** Networks to run; none where only images are compared. */
  readonly networks: readonly ComparedNetwork[];
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** Images to make. */
  readonly images: number;
  /** Denoising steps of an image. */
  readonly steps: number;
  /** Side of images in pixels; the model's own where not given. */
  readonly size?: number;
  /** The reference photo's file. */
  readonly ref: string;
  /** What images show. */
  readonly prompt: string;
  /** Of the first image's noise. */
  readonly seed: number;
  /** How the result is printed. */
  readonly print: "text" | "markdown" | "json";
  /** Options given that are of use with a folder only. */
  readonly conversionOptions: readonly string[];
  /** Told of each output and image. */
  readonly report: (line: string) => void;
}

/** The command's options. */
export const OPTIONS = {
  with: option(text),
  network: repeatable(oneOf(NETWORKS)),
  dtype: option(oneOf(["f32", "f16"]), "f32"),
  pictures: option(whole(0)),
  "no-networks": flag,
  steps: option(whole(0)),
  size: option(whole(0)),
  ref: option(text),
  prompt: option(text),
  seed: option(whole(0)),
  markdown: flag,
  json: flag,
  quiet: flag,
};

/**
 * CallQueue options into what is asked for.
 *
 * @throws {UsageError} saying what was given and what was expected
 */
export function requestOf(
  values: Values<typeof OPTIONS>,
  models: readonly string[],
): Request {
  const { network, pictures: images = 0, "no-networks": noNetworks } = values;
  if (models.length === 0) throw new UsageError("Give a model's folder");
  if (values.with === undefined) {
    throw new UsageError("Give --with, a reference file or a model's folder");
  }
  if (noNetworks && images === 0) {
    throw new UsageError("Give --pictures N with --no-networks");
  }
  if (noNetworks && network) {
    throw new UsageError("Give --network or --no-networks, not both");
  }
  return {
    models,
    with: values.with,
    networks: noNetworks ? [] : network ?? NETWORKS,
    dtype: values.dtype,
    images,
    steps: values.steps ?? 30,
    size: values.size,
    ref: values.ref ?? repositoryFile("weights/mini/demo.png"),
    prompt: values.prompt ?? "a photo of a smiling woman with red hair",
    seed: values.seed ?? 42,
    print: values.json ? "json" : values.markdown ? "markdown" : "text",
    conversionOptions: CONVERSION_OPTIONS.filter((name) =>
      values[name] !== undefined && values[name] !== false
    ),
    report: talk(values.quiet).report,
  };
}

/**
 * With a file there is one model, and nothing is made.
 *
 * @throws {UsageError} for more models, and for options that are of no use
 */
export function checkForReference(
  { models, conversionOptions }: Request,
): void {
  if (models.length > 1) {
    throw new UsageError(
      `Give one model with a reference file, got ${models.length}`,
    );
  }
  for (const name of conversionOptions) {
    throw new UsageError(`--${name} needs --with a model's folder`);
  }
}
