/**
 * What `tools/compare.ts` is asked for.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { parseArguments } from "../../src/host/arguments.ts";
import { UsageError } from "../../src/host/exit.ts";
import { tell } from "../../src/host/streams.ts";
import { type NetworkName, NETWORKS } from "./passes.ts";

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
  --json           one JSON object on stdout; null where two pictures are equal
  --quiet          no line for each output on stderr
  -h, --help       this text

With a folder only:
  --pictures N     also compare N finished pictures (0)
  --no-networks    compare pictures alone
  --steps N        denoising steps of a picture (30)
  --size N         side of pictures in pixels (the model's own)
  --ref FILE       reference photo (weights/mini/demo.png)
  --prompt TEXT    ("a photo of a smiling woman with red hair")
  --seed N         of the noise; of more pictures N + 1, … (42)

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
  readonly networks: readonly NetworkName[];
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

function parseFlags(args: readonly string[]) {
  return parseArguments(args, {
    with: { type: "string" },
    network: { type: "string", multiple: true },
    dtype: { type: "string", default: "f32" },
    pictures: { type: "string" },
    "no-networks": { type: "boolean" },
    steps: { type: "string" },
    size: { type: "string" },
    ref: { type: "string" },
    prompt: { type: "string" },
    seed: { type: "string" },
    markdown: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  }, "positionals");
}

type Flags = ReturnType<typeof parseFlags>;

/** A whole number from 0, or nothing. */
function count(values: Flags["values"], name: keyof Flags["values"]) {
  const text = values[name];
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(String(text))) return Number(text);
  throw new UsageError(`--${name} is ${text}, expected a whole number`);
}

function networksAsked({ network, ...values }: Flags["values"]): NetworkName[] {
  if (values["no-networks"]) {
    if (network === undefined) return [];
    throw new UsageError("Give --network or --no-networks, not both");
  }
  return (network ?? NETWORKS).map((name) => {
    const known = NETWORKS.find((one) => one === name);
    if (known) return known;
    throw new UsageError(
      `--network is ${name}, expected ${NETWORKS.join(", ")}`,
    );
  });
}

/**
 * Turns arguments into what is asked for.
 *
 * @param args what was typed after the script's name
 * @returns nothing where help is asked for
 * @throws {UsageError} saying what was given and what was expected
 */
export function readRequest(args: readonly string[]): Request | null {
  const { values, positionals } = parseFlags(args);
  if (values.help) return null;
  if (positionals.length === 0) throw new UsageError("Give a model's folder");
  if (values.with === undefined) {
    throw new UsageError("Give --with, a reference file or a model's folder");
  }
  const { dtype } = values;
  if (dtype !== "f32" && dtype !== "f16") {
    throw new UsageError(`--dtype is ${dtype}, expected f32 or f16`);
  }
  const images = count(values, "pictures") ?? 0;
  if (values["no-networks"] && images === 0) {
    throw new UsageError("Give --pictures N with --no-networks");
  }
  return {
    models: positionals,
    with: values.with,
    networks: networksAsked(values),
    dtype,
    images,
    steps: count(values, "steps") ?? 30,
    size: count(values, "size"),
    ref: values.ref ??
      fileURLToPath(new URL("../../weights/mini/demo.png", import.meta.url)),
    prompt: values.prompt ?? "a photo of a smiling woman with red hair",
    seed: count(values, "seed") ?? 42,
    print: values.json ? "json" : values.markdown ? "markdown" : "text",
    conversionOptions: CONVERSION_OPTIONS.filter((name) =>
      values[name] !== undefined
    ),
    report: values.quiet ? () => {} : (line) => tell(`${line}\n`),
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
