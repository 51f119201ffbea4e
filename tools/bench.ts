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
 *     deno task bench --less-work
 *     deno task bench --train --batch 8
 *
 * @module
 */
import { chooseDtype, Gpu } from "../src/gpu/gpu.ts";
import { print } from "../src/host/streams.ts";
import { MODEL_DTYPES } from "../src/weights/quantisation_policy.ts";
import { GPU_CLASSES, predict } from "./bench/analytical_model.ts";
import { USUAL } from "./bench/clock.ts";
import { compareReports, readReport, type Report } from "./bench/compare.ts";
import { benchFaces } from "./bench/faces.ts";
import { benchImage } from "./bench/image.ts";
import { SD15, sizesOf } from "./bench/synthetic.ts";
import { benchLessWork, benchMerging } from "./bench/less_work.ts";
import { benchOps, requireRight } from "./bench/ops.ts";
import {
  type Asked,
  chosenDtype,
  chosenSize,
  OPTIONS,
  USAGE,
} from "./bench/options.ts";
import { runPeers } from "./bench/peers.ts";
import {
  measureRoofline,
  type Roofline,
  rooflineTable,
} from "./bench/roofline.ts";
import { benchScaling } from "./bench/scaling.ts";
import { profileStep } from "./bench/step.ts";
import { type Table, tableText } from "./bench/table.ts";
import { chooseBenchmarks } from "./bench/op_benchmarks.ts";
import { benchTrain } from "./bench/train.ts";
import { printJson, repositoryFile, toolMain } from "./tool.ts";

/** Sides of images for `--scaling`. */
const FULL_SIDES = [256, 384, 512, 640, 768];
const MINI_SIDES = [64, 96, 128, 192, 256];

/** One run of the bench: what was asked for, and what its sections share. */
class Run implements Disposable {
  readonly dtype;
  readonly size;
  readonly benchmarks;
  readonly model;
  readonly sampling;
  /** The adapter's ceiling, once it was measured. */
  roofline: Roofline | undefined;
  #gpu: Gpu | undefined;

  constructor(readonly asked: Asked) {
    this.dtype = chosenDtype(asked);
    this.size = chosenSize(asked);
    this.benchmarks = chooseBenchmarks(asked);
    this.model = asked.model ?? repositoryFile("weights/mini");
    this.sampling = { ...USUAL, rounds: asked.rounds };
  }

  async gpu(): Promise<Gpu> {
    return this.#gpu ??= await Gpu.open();
  }

  /** Name of the adapter, where one was opened. */
  get adapter(): string | undefined {
    const { info } = this.#gpu ?? {};
    return info?.description || info?.device;
  }

  /** Sizes of the model that steps are of. */
  async sizes() {
    return this.asked["full-size"] ? SD15 : await sizesOf(this.model);
  }

  [Symbol.dispose](): void {
    this.#gpu?.[Symbol.dispose]();
  }
}

type Section = (run: Run) => Promise<Table | Table[]>;

/** Parts of the bench by their options, in the order they are run. */
const SECTIONS = {
  picture: ({ asked, model, dtype, size }) =>
    benchImage({ ...asked, model, dtype, size }),
  faces: ({ asked }) => benchFaces(asked.photo),
  async roofline(run) {
    const measured = await measureRoofline(await run.gpu());
    run.roofline = measured;
    return rooflineTable(measured);
  },
  async ops(run) {
    const gpu = await run.gpu();
    const { benchmarks, sampling, roofline } = run;
    const storage = chooseDtype(gpu, run.dtype);
    return await benchOps(gpu, { storage, benchmarks, sampling, roofline });
  },
  peers({ asked: { only, batch }, dtype, sampling }) {
    // What others store; their f32 against our f16 would be no comparison.
    const storage = dtype ?? "f32";
    return runPeers({ storage, only, batch, sampling });
  },
  async step(run) {
    const gpu = await run.gpu();
    const dtype = chooseDtype(gpu, run.dtype);
    const { size, asked: { weights = dtype, batch } } = run;
    const task = { sizes: await run.sizes(), dtype, weights, batch, size };
    return await profileStep(gpu, task, run.roofline);
  },
  async scaling(run) {
    const { weights, batches, ...asked } = run.asked;
    const gpu = asked["plan-only"] ? undefined : await run.gpu();
    const sizes = await run.sizes();
    const task = {
      sizes,
      sides: asked.sizes ?? (sizes === SD15 ? FULL_SIDES : MINI_SIDES),
      size: run.size,
      batches,
      weights: weights ? [weights] : MODEL_DTYPES,
    };
    const best = gpu ? chooseDtype(gpu, run.dtype) : run.dtype ?? "f16";
    return await benchScaling(task, best, gpu);
  },
  async paper({ asked, dtype = "f16", size, roofline }) {
    const { weights = dtype, model, batch, gpu } = asked;
    const sizes = model === undefined ? SD15 : await sizesOf(model);
    const own = roofline &&
      { name: "this adapter", source: "as measured", launch: 0, ...roofline };
    const gpus = [...GPU_CLASSES, gpu ?? [], own ?? []].flat();
    return predict({ sizes, dtype, weights, batch, size }, gpus);
  },
  async train(run) {
    const { asked, size } = run;
    const gpu = asked["plan-only"] ? undefined : await run.gpu();
    const { batch, rounds, pytorch } = asked;
    // As training does by itself.
    const dtype = run.dtype ?? "f32";
    const sizes = await run.sizes();
    return await benchTrain(
      { sizes, dtype, batch, size, rounds, pytorch },
      gpu,
    );
  },
  async "less-work"(run) {
    const { asked, model, dtype } = run;
    const gpu = await run.gpu();
    return asked.attention
      ? await benchMerging(gpu, chooseDtype(gpu, dtype), asked.samples)
      : await benchLessWork(gpu, { ...asked, model, dtype });
  },
} satisfies Record<string, Section>;

const sections = Object.keys(SECTIONS) as (keyof typeof SECTIONS)[];

/** What is timed where these are asked for. */
export function chosenSections(
  asked: Readonly<Record<keyof typeof SECTIONS, boolean>>,
): readonly (keyof typeof SECTIONS)[] {
  const given = sections.filter((name) => asked[name]);
  if (given.length === 0) return ["picture", "faces", "ops"];
  // A ceiling is there to be compared with.
  const isCompared = asked.ops || asked.step || asked.paper;
  return asked.roofline && !isCompared
    ? sections.filter((name) => asked[name] || name === "ops")
    : given;
}

/** Runs the bench. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  async run(asked) {
    const { json, compare } = asked;
    // Before anything is timed: a wrong name must not cost the run.
    const old = compare === undefined ? undefined : await readReport(compare);
    using run = new Run(asked);
    const tables: Table[] = [];
    const show = (table: Table) => {
      tables.push(table);
      if (!json) print(`${tableText(table)}\n`);
    };
    for (const name of chosenSections(asked)) {
      for (const table of [await SECTIONS[name](run)].flat()) show(table);
    }
    if (old) show(compareReports(old, { tables }, compare!));
    const { adapter } = run;
    const report: Report = { deno: Deno.version.deno, adapter, tables };
    if (json) printJson(report);
    requireRight(tables);
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
