/**
 * The bench's command line.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { parseArguments } from "../../src/host/arguments.ts";
import { UsageError } from "../../src/host/exit.ts";
import {
  MODEL_DTYPES,
  type ModelDtype,
} from "../../src/weights/quantisation_policy.ts";
import type { GpuClass } from "./paper.ts";

/** What `--help` prints. */
export const USAGE = `Times ops, pictures and the face pipeline on this machine.

  deno task bench [what] [options]

what (--ops, --picture and --faces where nothing is given):
  --ops            each op: shaders, ms, GFLOP/s or GB/s, checked against f64
  --roofline       the adapter's own ceiling, and what share of it --ops (or
                   --step) reach; --paper predicts this adapter, too
  --peers          jax-js and tfjs-webgpu on the same ops, by turns, in f32;
                   downloads them from npm
  --step           one denoising step by kind of op and shader, on the GPU's
                   own clock; what it asks of WebGPU
  --scaling        a step's time and memory over sizes, pictures at once and
                   storage of weights
  --paper          operations, bytes and dispatches of a step of SD1.5, and its
                   time at least on three classes of GPU
  --picture        load, compile, encode, per step, decode, peak GPU memory
  --faces          find faces, place landmarks, align: on the CPU

options:
  --model DIR      a converted model (weights/mini; of --paper SD1.5); of
                   --step, --scaling and --paper its sizes alone count
  --full-size      --step and --scaling of SD1.5, with weights made up
  --ref FILE       reference photo (weights/mini/demo.png)
  --photo FILE     photo to find faces in (one of the tests')
  --steps N        denoising steps (30)
  --width N, --height N
                   in pixels (the model's own size)
  --keep-loaded    networks stay on the GPU when they are done
  --dtype f16|f32  storage of activations (f16 where the adapter has it)
  --weights f32|f16|q8|q4
                   storage of weights, of --step, --scaling and --paper
  --sizes N,N,…    sides of square pictures, of --scaling
  --batches N,N,…  pictures at once, of --scaling (1,2,4)
  --plan-only      --scaling without running: memory as planned
  --gpu TFLOPS,GB/S,MICROSECONDS
                   another GPU for --paper: its ceilings, and a dispatch's own
                   time; with --roofline this adapter's are used too
  --only TEXT      rows of ops whose name or sizes have this in them
  --batch N        so many pictures in every op and step (1)
  --rounds N       samples, of which the median is taken (3)
  --json           one JSON object on stdout
  --compare FILE   a report of --json: each row's time, new over old
  -h, --help
`;

/** What is timed. */
export const SECTIONS = [
  "picture",
  "faces",
  "roofline",
  "ops",
  "peers",
  "step",
  "scaling",
  "paper",
] as const;

/** A part of the bench. */
export type Section = typeof SECTIONS[number];

/** The command line, checked. */
export interface BenchFlags {
  /** What is timed. */
  readonly sections: ReadonlySet<Section>;
  /** Only `--help` is printed. */
  readonly help: boolean;
  /** Folder of the model, where one was given. */
  readonly model?: string;
  /** Whether steps are those of SD1.5, with weights made up. */
  readonly fullSize: boolean;
  /** Reference photo. */
  readonly ref: string;
  /** Photo to find faces in. */
  readonly photo: string;
  /** Denoising steps. */
  readonly steps: number;
  /** Columns and rows of the image; the model's own where not given. */
  readonly size?: readonly [number, number];
  /** Whether networks stay on the GPU. */
  readonly keepLoaded: boolean;
  /** Storage of activations; the adapter's best where not given. */
  readonly dtype?: StorageType;
  /** Storage of weights, where it was given. */
  readonly weights?: ModelDtype;
  /** Sides of square images, where they were given. */
  readonly sides?: readonly number[];
  /** Images at once. */
  readonly batches: readonly number[];
  /** Whether nothing is run. */
  readonly planOnly: boolean;
  /** A GPU that was described. */
  readonly gpu?: GpuClass;
  /** Rows of ops that have this in their name or sizes. */
  readonly only: string;
  /** Images in every op. */
  readonly batch: number;
  /** Samples of which the median is taken. */
  readonly rounds: number;
  /** Whether one JSON object is printed. */
  readonly json: boolean;
  /** A report to compare with. */
  readonly compare?: string;
}

/** A file of this repository. */
export function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

const text = (value: string) => ({ type: "string", default: value }) as const;
const maybe = { type: "string" } as const;
const flag = { type: "boolean", default: false } as const;

/**
 * Reads the command line.
 *
 * @throws {UsageError} with what was given and what was expected
 */
export function parseFlags(args: readonly string[]): BenchFlags {
  const values = readValues(args);
  const { width, height, weights } = values;
  const size = width ?? height;
  const dtype = chosenDtype(values.dtype, weights);
  if (weights !== undefined && !MODEL_DTYPES.some((name) => name === weights)) {
    throw new UsageError(
      `--weights must be ${MODEL_DTYPES.join(", ")}, got ${weights}`,
    );
  }
  return {
    sections: chosenSections(SECTIONS.filter((name) => values[name])),
    help: values.help,
    ...(values.model !== undefined && { model: values.model }),
    fullSize: values["full-size"],
    ref: values.ref,
    photo: values.photo,
    steps: whole("steps", values.steps, 1000),
    ...(size !== undefined && {
      size: [
        whole("width", width ?? size, 16384),
        whole("height", height ?? size, 16384),
      ],
    }),
    keepLoaded: values["keep-loaded"],
    ...(dtype !== undefined && { dtype }),
    ...(weights !== undefined && { weights: weights as ModelDtype }),
    ...(values.sizes !== undefined && {
      sides: wholes("sizes", values.sizes, 16384),
    }),
    batches: wholes("batches", values.batches, 16),
    planOnly: values["plan-only"],
    ...(values.gpu !== undefined && { gpu: describedGpu(values.gpu) }),
    only: values.only,
    batch: whole("batch", values.batch, 16),
    rounds: whole("rounds", values.rounds, 1000),
    json: values.json,
    ...(values.compare !== undefined && { compare: values.compare }),
  };
}

function readValues(args: readonly string[]) {
  return parseArguments(args, {
    ops: flag,
    roofline: flag,
    peers: flag,
    picture: flag,
    faces: flag,
    step: flag,
    scaling: flag,
    paper: flag,
    model: maybe,
    "full-size": flag,
    weights: maybe,
    sizes: maybe,
    batches: text("1,2,4"),
    "plan-only": flag,
    gpu: maybe,
    ref: text(repositoryFile("weights/mini/demo.png")),
    photo: text(repositoryFile("tests/goldens/face/astronaut.png")),
    steps: text("30"),
    width: maybe,
    height: maybe,
    "keep-loaded": flag,
    dtype: maybe,
    only: text(""),
    batch: text("1"),
    rounds: text("3"),
    json: flag,
    compare: maybe,
    help: flag,
  }, "no-positionals").values;
}

/** A whole number from 1 on. */
function whole(name: string, value: string, most: number): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= 1 && number <= most) return number;
  throw new UsageError(
    `--${name} must be a whole number from 1 to ${most}, got ${value || "''"}`,
  );
}

function wholes(name: string, value: string, most: number): number[] {
  return value.split(",").map((part) => whole(name, part, most));
}

/** `TFLOPS,GB/S,MICROSECONDS`. */
function describedGpu(value: string): GpuClass {
  const numbers = value.split(",").map(Number);
  if (
    numbers.length !== 3 || !numbers.every((n) => Number.isFinite(n)) ||
    numbers[0] <= 0 || numbers[1] <= 0 || numbers[2] < 0
  ) {
    throw new UsageError(
      `--gpu must be TFLOP/s, GB/s and microseconds a dispatch, such as 12,360,5, got ${value}`,
    );
  }
  const [tera, gigabytes, launch] = numbers;
  return {
    name: "as described",
    source: "--gpu",
    gflops: 1000 * tera,
    gigabytes,
    launch,
  };
}

/** What is timed where these are asked for. */
function chosenSections(given: readonly Section[]): ReadonlySet<Section> {
  const sections = new Set(given);
  if (given.length === 0) return new Set(["picture", "faces", "ops"]);
  // A ceiling is there to be compared with.
  const compared = ["ops", "step", "paper"] as const;
  if (
    given.includes("roofline") && !compared.some((each) => sections.has(each))
  ) {
    sections.add("ops");
  }
  return sections;
}

/** Storage of activations: weights that are not quantised are stored alike. */
function chosenDtype(
  dtype: string | undefined,
  weights: string | undefined,
): StorageType | undefined {
  if (dtype !== undefined && dtype !== "f16" && dtype !== "f32") {
    throw new UsageError(`--dtype must be f16 or f32, got ${dtype}`);
  }
  if (weights !== "f16" && weights !== "f32") return dtype;
  if (dtype === undefined || dtype === weights) return weights;
  throw new UsageError(
    `--weights ${weights} goes with --dtype ${weights}, got --dtype ${dtype}`,
  );
}
