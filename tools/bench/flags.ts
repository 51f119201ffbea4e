/**
 * The bench's command line.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Real } from "../../src/gpu/gpu.ts";

/** What `--help` prints. */
export const USAGE = `Times ops, pictures and the face pipeline on this machine.

  deno task bench [what] [options]

what (--ops, --picture and --faces where nothing is given):
  --ops            each op: shaders, ms, GFLOP/s or GB/s, checked against f64
  --roofline       the adapter's own ceiling, and each op's share of it
  --peers          jax-js and tfjs-webgpu on the same ops, by turns, in f32;
                   downloads them from npm
  --picture        load, compile, encode, per step, decode, peak GPU memory
  --faces          find faces, place landmarks, align: on the CPU

options:
  --model DIR      a converted model (weights/mini)
  --ref FILE       reference photo (weights/mini/demo.png)
  --photo FILE     photo to find faces in (one of the tests')
  --steps N        denoising steps (30)
  --width N, --height N
                   in pixels (the model's own size)
  --keep-loaded    networks stay on the GPU when they are done
  --dtype f16|f32  storage of activations (f16 where the adapter has it)
  --only TEXT      rows of ops whose name or sizes have this in them
  --batch N        so many pictures in every op (1)
  --rounds N       samples, of which the median is taken (3)
  --json           one JSON object on stdout
  --compare FILE   a report of --json: each row's time, new over old
  --help
`;

/** Wrong usage: exit code 2. */
export class UsageError extends Error {}

/** What is timed. */
export const SECTIONS = [
  "ops",
  "roofline",
  "peers",
  "picture",
  "faces",
] as const;

/** A part of the bench. */
export type Section = typeof SECTIONS[number];

/** The command line, checked. */
export interface BenchFlags {
  /** What is timed. */
  readonly sections: ReadonlySet<Section>;
  /** Only `--help` is printed. */
  readonly help: boolean;
  /** Folder of the model. */
  readonly model: string;
  /** Reference photo. */
  readonly ref: string;
  /** Photo to find faces in. */
  readonly photo: string;
  /** Denoising steps. */
  readonly steps: number;
  /** Columns and rows of the picture; the model's own where not given. */
  readonly size?: readonly [number, number];
  /** Whether networks stay on the GPU. */
  readonly keepLoaded: boolean;
  /** Storage of activations; the adapter's best where not given. */
  readonly dtype?: Real;
  /** Rows of ops that have this in their name or sizes. */
  readonly only: string;
  /** Pictures in every op. */
  readonly batch: number;
  /** Samples of which the median is taken. */
  readonly rounds: number;
  /** Whether one JSON object is printed. */
  readonly json: boolean;
  /** A report to compare with. */
  readonly compare?: string;
}

/** A file of this repository. */
function repositoryFile(path: string): string {
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
  const given = SECTIONS.filter((name) => values[name]);
  const { width, height, dtype } = values;
  const size = width ?? height;
  if (dtype !== undefined && dtype !== "f16" && dtype !== "f32") {
    throw new UsageError(`--dtype must be f16 or f32, got ${dtype}`);
  }
  return {
    sections: new Set(
      given.length > 0 ? given : ["ops", "picture", "faces"] as const,
    ),
    help: values.help,
    model: values.model,
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
    only: values.only,
    batch: whole("batch", values.batch, 16),
    rounds: whole("rounds", values.rounds, 1000),
    json: values.json,
    ...(values.compare !== undefined && { compare: values.compare }),
  };
}

function readValues(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        ops: flag,
        roofline: flag,
        peers: flag,
        picture: flag,
        faces: flag,
        model: text(repositoryFile("weights/mini")),
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
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : `${error}`);
  }
}

/** A whole number from 1 on. */
function whole(name: string, value: string, most: number): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= 1 && number <= most) return number;
  throw new UsageError(
    `--${name} must be a whole number from 1 to ${most}, got ${value || "''"}`,
  );
}
