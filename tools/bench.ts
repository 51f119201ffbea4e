/**
 * Times ops, steps, images and the face pipeline, and predicts them.
 *
 *     deno task bench                # ops, an image, faces
 *     deno task bench --picture --model weights/mini --steps 30
 *     deno task bench --ops --only conv --json > old.json
 *     deno task bench --ops --only conv --compare old.json
 *     deno task bench --roofline --peers
 *     deno task bench --step --scaling
 *     deno task bench --paper
 *
 * @module
 */
import { chooseDtype, Gpu, type StorageType } from "../src/gpu/gpu.ts";
import { UsageError } from "../src/host/exit.ts";
import { print } from "../src/host/streams.ts";
import { MODEL_DTYPES } from "../src/weights/quantisation_policy.ts";
import {
  GPU_CLASSES,
  type GpuClass,
  predict,
  predictionTables,
} from "./bench/analytical_model.ts";
import { USUAL } from "./bench/clock.ts";
import { compareReports, readReport, type Report } from "./bench/compare.ts";
import { benchFaces } from "./bench/faces.ts";
import { benchImage } from "./bench/image.ts";
import { type ModelSizes, SD15, sizesOf } from "./bench/invented.ts";
import { benchOps, requireRight } from "./bench/ops.ts";
import { runPeers } from "./bench/peers.ts";
import {
  type MeasuredRoofline,
  measureRoofline,
  rooflineTable,
} from "./bench/roofline.ts";
import { benchScaling } from "./bench/scaling.ts";
import { profileStep } from "./bench/step.ts";
import { type Table, tableText } from "./bench/table.ts";
import { batched, describeWork, type WorkRow, WORKS } from "./bench/work.ts";
import {
  flag,
  listOf,
  oneOf,
  option,
  printJson,
  refuse,
  repositoryFile,
  text,
  toolMain,
  type Values,
  whole,
} from "./tool.ts";

/** What `--help` prints. */
export const USAGE = `Times ops, images and the face pipeline on this machine.

  deno task bench [what] [options]

what (--ops, --picture and --faces where nothing is given):
  --ops            each op: shaders, ms, GFLOP/s or GB/s, checked against f64
  --roofline       the adapter's own ceiling, and what share of it --ops (or
                   --step) reach; --paper predicts this adapter, too
  --peers          jax-js and tfjs-webgpu on the same ops, by turns, in f32;
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
  --sizes N,N,…    sides of square images, of --scaling
  --batches N,N,…  images at once, of --scaling (1,2,4)
  --plan-only      --scaling without running: memory as planned
  --gpu TFLOPS,GB/S,MICROSECONDS
                   another GPU for --paper: its ceilings, and a dispatch's own
                   time; with --roofline this adapter's are used too
  --only TEXT      rows of ops whose name or sizes have this in them
  --batch N        so many images in every op and step (1)
  --rounds N       samples, of which the median is taken (3)
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
  gpu: option(describedGpu),
  only: option(text, ""),
  batch: option(whole(1, 16), "1"),
  rounds: option(whole(1, 1000), "3"),
  json: flag,
  compare: option(text),
};

type Asked = Values<typeof OPTIONS>;

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

/** Parts of the bench by their options, in the order they are run. */
const SECTIONS = [
  "picture",
  "faces",
  "roofline",
  "ops",
  "peers",
  "step",
  "scaling",
  "paper",
] as const;

type Section = typeof SECTIONS[number];

/** What is timed where these are asked for. */
export function chosenSections(
  asked: Readonly<Record<Section, boolean>>,
): readonly Section[] {
  const given = SECTIONS.filter((name) => asked[name]);
  if (given.length === 0) return ["picture", "faces", "ops"];
  // A ceiling is there to be compared with.
  const isCompared = asked.ops || asked.step || asked.paper;
  return asked.roofline && !isCompared
    ? SECTIONS.filter((name) => asked[name] || name === "ops")
    : given;
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

/** The rows of `--only`, at the size of `--batch`. */
function chosenWorks({ only, batch }: Asked): WorkRow[] {
  const rows = WORKS.map((row) => batched(row, batch))
    .filter(({ name, work }) => `${name} ${describeWork(work)}`.includes(only));
  if (rows.length > 0) return rows;
  const names = [...new Set(WORKS.map(({ name }) => name))];
  throw new UsageError(
    `--only ${only} is in no row's name or sizes, expected a part of: ${
      names.join(", ")
    }`,
  );
}

/** Sides of images for `--scaling`. */
const FULL_SIDES = [256, 384, 512, 640, 768];
const MINI_SIDES = [64, 96, 128, 192, 256];

/** One run of the bench. */
class Bench implements Disposable {
  readonly #asked: Asked;
  readonly #dtype: StorageType | undefined;
  readonly #size: readonly [number, number] | undefined;
  readonly #works: readonly WorkRow[];
  #roofline: MeasuredRoofline | undefined;
  #gpu: Gpu | undefined;

  /** Nothing has been timed yet. */
  constructor(asked: Asked) {
    this.#asked = asked;
    this.#dtype = chosenDtype(asked);
    this.#size = chosenSize(asked);
    this.#works = chosenWorks(asked);
  }

  /** Times a part. */
  async run(section: Section): Promise<readonly Table[]> {
    return [await this.#parts[section]()].flat();
  }

  readonly #parts: Readonly<Record<Section, () => Promise<Table | Table[]>>> = {
    picture: () => {
      const { ref, steps, "keep-loaded": keepLoaded } = this.#asked;
      const stored = { dtype: this.#dtype, size: this.#size };
      const model = this.#folder;
      return benchImage({ model, ref, steps, keepLoaded, ...stored });
    },
    faces: () => benchFaces(this.#asked.photo),
    roofline: async () => {
      this.#roofline = await measureRoofline(await this.#open());
      return rooflineTable(this.#roofline);
    },
    ops: async () => {
      const gpu = await this.#open();
      return await benchOps(gpu, {
        storage: chooseDtype(gpu, this.#dtype),
        rows: this.#works,
        effort: this.#effort,
        roofline: this.#roofline,
      });
    },
    peers: () =>
      runPeers({
        // What others store; their f32 against our f16 would be no comparison.
        storage: this.#dtype ?? "f32",
        rows: this.#works,
        effort: this.#effort,
      }),
    step: async () => {
      const gpu = await this.#open();
      const sizes = await this.#sizes();
      const dtype = chooseDtype(gpu, this.#dtype);
      const { weights = dtype, batch } = this.#asked;
      const task = { sizes, dtype, weights, batch, size: this.#size };
      return await profileStep(gpu, task, this.#roofline);
    },
    scaling: async () => {
      const { batches, weights, "plan-only": planOnly } = this.#asked;
      const gpu = planOnly ? undefined : await this.#open();
      const sizes = await this.#sizes();
      const task = {
        sizes,
        sides: this.#asked.sizes ??
          (sizes === SD15 ? FULL_SIDES : MINI_SIDES),
        size: this.#size,
        batches,
        weights: weights ? [weights] : MODEL_DTYPES,
      };
      const best = gpu ? chooseDtype(gpu, this.#dtype) : this.#dtype ?? "f16";
      return await benchScaling(task, best, gpu);
    },
    paper: async () => {
      const { weights, model, batch, gpu } = this.#asked;
      const dtype = this.#dtype ?? "f16";
      const own = this.#roofline &&
        { name: "this adapter", source: "as measured", launch: 0 };
      const sizes = model === undefined ? SD15 : await sizesOf(model);
      const stored = { dtype, weights: weights ?? dtype };
      const prediction = predict(
        { sizes, ...stored, batch, size: this.#size },
        [
          ...GPU_CLASSES,
          ...gpu ? [gpu] : [],
          ...own ? [{ ...own, ...this.#roofline! }] : [],
        ],
      );
      return predictionTables(prediction);
    },
  };

  /** Folder of the model that is run. */
  get #folder(): string {
    return this.#asked.model ?? repositoryFile("weights/mini");
  }

  get #effort() {
    return { ...USUAL, rounds: this.#asked.rounds };
  }

  /** Sizes of the model that steps are of. */
  async #sizes(): Promise<ModelSizes> {
    return this.#asked["full-size"] ? SD15 : await sizesOf(this.#folder);
  }

  async #open(): Promise<Gpu> {
    return this.#gpu ??= await Gpu.open();
  }

  /** Name of the adapter, where one was opened. */
  get adapter(): string | undefined {
    const { info } = this.#gpu ?? {};
    return info?.description || info?.device;
  }

  /** Frees the GPU. */
  [Symbol.dispose](): void {
    this.#gpu?.[Symbol.dispose]();
  }
}

/** Runs the bench. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  async run(asked) {
    const { json, compare } = asked;
    // Before anything is timed: a wrong name must not cost the run.
    const old = compare === undefined ? undefined : await readReport(compare);
    using bench = new Bench(asked);
    const tables: Table[] = [];
    const show = (table: Table) => {
      tables.push(table);
      if (!json) print(`${tableText(table)}\n`);
    };
    for (const section of chosenSections(asked)) {
      for (const table of await bench.run(section)) show(table);
    }
    if (old) show(compareReports(old, { tables }, compare!));
    const { adapter } = bench;
    const report: Report = { deno: Deno.version.deno, adapter, tables };
    if (json) printJson(report);
    requireRight(tables);
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
