/**
 * The bench's command line.
 *
 * @module
 */
import type { StorageType } from "../../src/gpu/gpu.ts";
import { UsageError } from "../../src/host/exit.ts";
import { MODEL_DTYPES } from "../../src/weights/quantisation_policy.ts";
import {
  flag,
  listOf,
  oneOf,
  option,
  refuse,
  repositoryFile,
  text,
  type Values,
  whole,
} from "../tool.ts";
import type { GpuClass } from "./analytical_model.ts";

/** What every image of the bench shows. */
const PROMPT = "a photo of a smiling woman with red hair";

/** What `--help` prints. */
export const USAGE = `Times ops, images and the face pipeline on this machine.

  deno task bench [what] [options]

what (--ops, --picture and --faces where nothing is given):
  --ops            each op: shaders, ms, GFLOP/s or GB/s, checked against f64
  --roofline       the adapter's own ceiling, and what share of it --ops (or
                   --step) reach; --paper predicts this adapter, too
  --peers          jax-js and tfjs-webgpu on the same ops, interleaved, in f32;
                   downloads them from npm
  --step           one denoising step by kind of op and shader, on the GPU's
                   own clock; what it asks of WebGPU
  --scaling        a step's time and memory over sizes, images at once and
                   storage of weights
  --paper          the analytical model: operations, bytes and dispatches of a
                   step of SD1.5, its time at least on three classes of GPU
  --picture        an image: load, prepare, encode, per step, decode, peak GPU
                   memory
  --faces          find faces, place landmarks, align: on the CPU
  --less-work      what the options that leave work out gain, and how far their
                   images are from the exact ones; --attention: instead, a
                   self-attention of SD1.5 with merged tokens, 4096 of 320
                   channels

  --train          training steps of both stages, on a batch that is made up:
                   steps a second, peak GPU memory, shares of forward, backward,
                   optimiser and data; the memory of what --recompute offers

options:
  --model DIR      a converted model (weights/mini; of --paper SD1.5); of
                   --step, --scaling, --train and --paper its sizes alone count
  --full-size      --step, --scaling and --train of SD1.5, with synthetic weights
  --ref FILE       reference photo (weights/mini/demo.png)
  --photo FILE     photo to find faces in (one of the tests')
  --steps N        denoising steps (30)
  --width N, --height N
                   in pixels (the model's own size)
  --keep-loaded    networks stay on the GPU when they are done
  --dtype f16|f32  storage of activations (f16 where the adapter has it)
  --weights f32|f16|q8|q4
                   storage of weights, of --step, --scaling and --paper
  --sizes N,N,…    sides of square images, of --scaling
  --batches N,N,…  images at once, of --scaling (1,2,4)
  --plan-only      --scaling and --train without running: memory as planned
  --pytorch S      seconds that PyTorch takes for a step of stage 1, to compare
                   --train with
  --gpu TFLOPS,GB/S,MICROSECONDS
                   another GPU for --paper: its ceilings, and a dispatch's own
                   time; with --roofline this adapter's are used too
  --only TEXT      rows of ops whose name or sizes have this in them
  --batch N        N images in every op and step (1)
  --rounds N       samples, of which the median is taken (3)
  --prompt TEXT    what images show ("${PROMPT}")
  --seeds N, --samples N
                   of --less-work: images of each row, from 42 on (4); how
                   often each kind of step is timed (9)
  --json           one JSON object on stdout
  --compare FILE   a report of --json: each row's time, new over old
  -h, --help
`;

const side = whole(1, 16384);

/** The bench's options. */
export const OPTIONS = {
  picture: flag,
  faces: flag,
  roofline: flag,
  ops: flag,
  peers: flag,
  step: flag,
  scaling: flag,
  paper: flag,
  "less-work": flag,
  train: flag,
  attention: flag,
  model: option(text),
  "full-size": flag,
  ref: option(text, repositoryFile("weights/mini/demo.png")),
  photo: option(text, repositoryFile("tests/goldens/face/astronaut.png")),
  steps: option(whole(1, 1000), "30"),
  width: option(side),
  height: option(side),
  "keep-loaded": flag,
  dtype: option(oneOf(["f16", "f32"])),
  weights: option(oneOf(MODEL_DTYPES)),
  sizes: option(listOf(side)),
  batches: option(listOf(whole(1, 16)), "1,2,4"),
  "plan-only": flag,
  pytorch: option(seconds),
  gpu: option(describedGpu),
  only: option(text, ""),
  batch: option(whole(1, 16), "1"),
  rounds: option(whole(1, 1000), "3"),
  prompt: option(text, PROMPT),
  seeds: option(whole(1), "4"),
  samples: option(whole(1), "9"),
  json: flag,
  compare: option(text),
};

/** What was asked for. */
export type Asked = Values<typeof OPTIONS>;

function seconds(value: string, option: string): number {
  const parsed = Number(value);
  if (parsed > 0 && parsed < Infinity) return parsed;
  return refuse(option, value, "seconds above 0");
}

/** `TFLOPS,GB/S,MICROSECONDS`. */
function describedGpu(value: string, option: string): GpuClass {
  const numbers = value.split(",").map(Number);
  const [tera, gigabytes, launch] = numbers;
  const isRight = numbers.length === 3 && numbers.every(Number.isFinite) &&
    tera > 0 && gigabytes > 0 && launch >= 0;
  if (!isRight) {
    const expected = "TFLOP/s, GB/s and microseconds a dispatch, as 12,360,5";
    return refuse(option, value, expected);
  }
  const gpu = { gflops: 1000 * tera, gigabytes, launch };
  return { name: "as described", source: "--gpu", ...gpu };
}

/**
 * Storage of activations: weights that are not quantised are stored alike.
 *
 * @throws {UsageError} where the two options contradict each other
 */
export function chosenDtype(
  { dtype, weights }: Pick<Asked, "dtype" | "weights">,
): StorageType | undefined {
  if (weights !== "f16" && weights !== "f32") return dtype;
  if (dtype === undefined || dtype === weights) return weights;
  throw new UsageError(
    `--weights ${weights} goes with --dtype ${weights}, got --dtype ${dtype}`,
  );
}

/** Columns and rows of the image, where one of them was given. */
export function chosenSize(
  { width, height }: Pick<Asked, "width" | "height">,
): readonly [number, number] | undefined {
  const one = width ?? height;
  return one === undefined ? undefined : [width ?? one, height ?? one];
}
