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
import { MasterWeaverError } from "../src/base/errors.ts";
import { chooseDtype, Gpu, type StorageType } from "../src/gpu/gpu.ts";
import { toolExitCode, UsageError } from "../src/host/exit.ts";
import { print } from "../src/host/streams.ts";
import type { ModelDtype } from "../src/weights/quantisation_policy.ts";
import { USUAL } from "./bench/clock.ts";
import { compareLines, compareReports } from "./bench/compare.ts";
import { benchFaces, faceLines } from "./bench/faces.ts";
import {
  type BenchFlags,
  parseFlags,
  repositoryFile,
  type Section,
  SECTIONS,
  USAGE,
} from "./bench/flags.ts";
import { type ModelSizes, SD15, sizesOf } from "./bench/invented.ts";
import { benchOps, opLines } from "./bench/ops.ts";
import { GPU_CLASSES, paperLines, predict } from "./bench/paper.ts";
import { peerLines, runPeers } from "./bench/peers.ts";
import { benchImage, imageLines } from "./bench/picture.ts";
import {
  type MeasuredRoofline,
  measureRoofline,
  rooflineLines,
} from "./bench/roofline.ts";
import { batched, describeWork, type Row, ROWS } from "./bench/rows.ts";
import { benchScaling, scalingLines } from "./bench/scaling.ts";
import { profileLines, profileStep } from "./bench/step.ts";

/**
 * Runs the bench.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function main(args: readonly string[]): Promise<number> {
  return await toolExitCode(async () => {
    const flags = parseFlags(args);
    if (flags.help) return print(USAGE);
    // Before anything is timed: a wrong name must not cost the run.
    const old = flags.compare && await readReport(flags.compare);
    const bench = new Bench(flags);
    await bench.run();
    const { report } = bench;
    if (old && flags.compare) {
      report.compared = bench.show(
        compareReports(old, report),
        (compared) => compareLines(compared, flags.compare!),
      );
    }
    if (flags.json) print(`${JSON.stringify(report)}\n`);
  });
}

/** One run of the bench. */
class Bench {
  /** What `--json` prints: a key for each part that was asked for. */
  readonly report: Record<string, unknown> = { deno: Deno.version.deno };
  readonly #flags: BenchFlags;
  readonly #rows: readonly Row[];
  #roofline: MeasuredRoofline | undefined;

  constructor(flags: BenchFlags) {
    this.#flags = flags;
    this.#rows = chosenRows(flags);
  }

  /** Prints a result for a person, unless JSON was asked for. */
  show<T>(result: T, lines: (result: T) => readonly string[]): T {
    if (!this.#flags.json) print(`${lines(result).join("\n")}\n`);
    return result;
  }

  /** Times what was asked for, one part after the other. */
  async run(): Promise<void> {
    for (const section of SECTIONS) {
      if (!this.#flags.sections.has(section)) continue;
      this.report[section] = await this.#parts[section]();
    }
  }

  readonly #parts: Readonly<Record<Section, () => Promise<unknown>>> = {
    picture: async () =>
      this.show(
        await benchImage({ ...this.#flags, model: this.#folder }),
        imageLines,
      ),
    faces: async () =>
      this.show(await benchFaces(this.#flags.photo), faceLines),
    roofline: () => this.#measure(),
    ops: () => this.#ops(),
    peers: () => this.#peers(),
    step: () => this.#step(),
    scaling: () => this.#scaling(),
    paper: () => this.#paper(),
  };

  /** Folder of the model that is run. */
  get #folder(): string {
    return this.#flags.model ?? repositoryFile("weights/mini");
  }

  async #measure(): Promise<MeasuredRoofline> {
    using gpu = await this.#open();
    this.#roofline = await measureRoofline(gpu);
    return this.show(this.#roofline, rooflineLines);
  }

  async #ops() {
    using gpu = await this.#open();
    const dtype = chooseDtype(gpu, this.#flags.dtype);
    const timings = await benchOps(
      gpu,
      dtype,
      this.#rows,
      { ...USUAL, rounds: this.#flags.rounds },
      this.#roofline,
    );
    this.show(timings, () => opLines(timings, dtype));
    requireRight(timings.filter(({ right }) => !right));
    return { dtype, timings };
  }

  async #peers() {
    const timings = await runPeers({
      // What others store; their f32 against our f16 would be no comparison.
      dtype: this.#flags.dtype ?? "f32",
      rows: this.#rows,
      effort: { ...USUAL, rounds: this.#flags.rounds },
    });
    this.show(timings, peerLines);
    requireRight(timings.filter(({ right }) => !right));
    return { timings };
  }

  async #step() {
    using gpu = await this.#open();
    const { size, batch } = this.#flags;
    const sizes = await this.#sizes();
    const stored = this.#stored(gpu);
    const task = { sizes, ...stored, batch, ...(size && { size }) };
    const profile = await profileStep(gpu, task, this.#roofline);
    return this.show(profile, profileLines);
  }

  async #scaling() {
    const { sides, size, batches, weights, planOnly } = this.#flags;
    using gpu = planOnly ? undefined : await this.#open();
    const sizes = await this.#sizes();
    const rows = await benchScaling(
      {
        sizes,
        sides: sides ?? (sizes === SD15 ? FULL_SIDES : MINI_SIDES),
        ...(size && { size }),
        batches,
        weights: weights ? [weights] : ["f32", "f16", "q8", "q4"],
      },
      gpu ? chooseDtype(gpu, this.#flags.dtype) : this.#flags.dtype ?? "f16",
      gpu,
    );
    return this.show(rows, scalingLines);
  }

  async #paper() {
    const { dtype = "f16", weights = dtype, model } = this.#flags;
    const { size, batch, gpu } = this.#flags;
    const gpus = [...GPU_CLASSES, ...(gpu ? [gpu] : [])];
    if (this.#roofline) {
      gpus.push({
        name: "this adapter",
        source: "as measured",
        ...this.#roofline,
        launch: 0,
      });
    }
    const sizes = model === undefined ? SD15 : await sizesOf(model);
    const task = { sizes, dtype, weights, batch, gpus };
    return this.show(predict({ ...task, ...(size && { size }) }), paperLines);
  }

  /** Sizes of the model that steps are of. */
  async #sizes(): Promise<ModelSizes> {
    return this.#flags.fullSize ? SD15 : await sizesOf(this.#folder);
  }

  #stored(gpu: Gpu): { dtype: StorageType; weights: ModelDtype } {
    const dtype = chooseDtype(gpu, this.#flags.dtype);
    return { dtype, weights: this.#flags.weights ?? dtype };
  }

  async #open(): Promise<Gpu> {
    const gpu = await Gpu.open();
    this.report.adapter = gpu.info.description || gpu.info.device;
    return gpu;
  }
}

/** Sides of images for `--scaling`. */
const FULL_SIDES = [256, 384, 512, 640, 768];
const MINI_SIDES = [64, 96, 128, 192, 256];

/** The rows of `--only`, at the size of `--batch`. */
function chosenRows({ only, batch }: BenchFlags): Row[] {
  const rows = ROWS.map((row) => batched(row, batch)).filter(({ name, work }) =>
    `${name} ${describeWork(work)}`.includes(only)
  );
  if (rows.length > 0) return rows;
  const names = [...new Set(ROWS.map(({ name }) => name))];
  throw new UsageError(
    `--only ${only} is in no row's name or sizes, expected a part of: ${
      names.join(", ")
    }`,
  );
}

/** A time of a wrong result counts for nothing. */
function requireRight(wrong: readonly { name: string; shapes: string }[]) {
  if (wrong.length === 0) return;
  throw new MasterWeaverError(
    "gpu",
    `Wrong results, compared with f64: ${
      wrong.map(({ name, shapes }) => `${name} ${shapes}`).join("; ")
    }; run the tests of the ops, deno test -A tests/ops_test.ts`,
  );
}

/** A report of an earlier run. */
async function readReport(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot compare with ${path}, expected what --json prints: ${
        error instanceof Error ? error.message : error
      }`,
      { cause: error },
    );
  }
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
