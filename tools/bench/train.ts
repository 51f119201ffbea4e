/**
 * Times training steps of both stages, and says what they take of the GPU's memory
 * with each choice of what is computed again.
 *
 * @module
 */
import type { Components } from "../../src/components/networks.ts";
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import type { KernelChooser } from "../../src/graph/kernel_choice.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import {
  type Stage,
  stageSettings,
  stageTrainable,
} from "../../src/train/stages.ts";
import type { StepShape } from "../../src/train/step/graph.ts";
import type { StepKind } from "../../src/train/step/plans.ts";
import { namedChoices } from "../../src/train/step/recompute_choice.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { runCosts } from "../../src/train/training_memory.ts";
import { median, spent } from "./clock.ts";
import { ROOMY, sum } from "./cost.ts";
import { type ModelSizes, runShapeOf, syntheticModel } from "./synthetic.ts";
import { figure, type Row, type Table } from "./table.ts";
import { stubBatch } from "./train_batch.ts";

/** What is trained. */
export interface TrainTask {
  /** The model's sizes; its values are synthetic. */
  readonly sizes: ModelSizes;
  /** Storage of activations and frozen weights. */
  readonly dtype: StorageType;
  /** Samples of a step. */
  readonly batch: number;
  /** Columns and rows of the images; the model's own where not given. */
  readonly size?: readonly [number, number];
  /** Steps that are timed, after one that warms up. */
  readonly rounds: number;
  /** Seconds that PyTorch takes for a step of stage 1. */
  readonly pytorch?: number;
}

const STAGES: readonly Stage[] = [1, 2];

/** Times the steps, then counts the memory; without a GPU only that. */
export async function benchTrain(
  task: TrainTask,
  gpu: Gpu | undefined,
): Promise<Table[]> {
  const components = syntheticModel(task.sizes, task.dtype);
  const { width, height } = runShapeOf(components, task.size, task.batch);
  const model: Model = { ...task, components, latentSize: [height, width] };
  const steps = gpu ? [await timeStages(gpu, model)] : [];
  const choose: KernelChooser = gpu
    ? new Tuner(gpu).choose
    : (_node, kernels) =>
      kernels.includes("workgroup-tiled") ? "workgroup-tiled" : kernels[0];
  return [...steps, memoryTable(model, choose, gpu)];
}

/** A task with its model. */
interface Model extends TrainTask {
  readonly components: Components;
  /** Rows and columns of the latents. */
  readonly latentSize: readonly [number, number];
}

function describe({ sizes, dtype, batch, components, latentSize }: Model) {
  const { factor } = components.vae.config;
  const [height, width] = latentSize.map((length) => factor * length);
  return `${sizes.name}, ${width}×${height}, ${batch} at once, ${dtype}`;
}

async function timeStages(gpu: Gpu, model: Model): Promise<Table> {
  const rows: Row[] = [];
  for (const stage of STAGES) {
    gpu.buffers.resetPeak();
    const before = gpu.buffers.bytes;
    using trainer = await trainerOf(gpu, model, stage);
    for (const kind of trainer.plans.kinds) {
      const { step, ...parts } = await timeKind(gpu, trainer, kind, model);
      const peak = gpu.buffers.peakBytes - before;
      const { pytorch } = model;
      rows.push({
        labels: [`stage ${stage}`, kind],
        figures: [
          figure("time", step, "ms"),
          figure("steps a second", 1000 / step),
          ...Object.entries(parts)
            .map(([name, time]) => figure(name, time / step, "share")),
          figure("peak GPU memory", peak, "bytes"),
          ...pytorch === undefined ? [] : [
            figure(
              "of PyTorch's time",
              stage === 1 ? step / 1000 / pytorch : undefined,
              "×",
            ),
          ],
        ],
      });
    }
  }
  return {
    section: "train",
    subject: describe(model),
    rows,
    notes: [
      "edit: with the editing-direction loss, which every other step of stage 2 has",
      "data: a batch that is made up; references and captions pass the towers",
    ],
  };
}

async function trainerOf(
  gpu: Gpu,
  { components, dtype, batch, latentSize }: Model,
  stage: Stage,
): Promise<Trainer> {
  const { lambdaNoise, lambdaEdit } = stageSettings(stage);
  return await Trainer.make({
    gpu,
    storage: dtype,
    tuner: new Tuner(gpu),
    components,
    trainable: stageTrainable(stage, components),
    batch,
    latentSize,
    lambdaNoise,
    lambdaEdit,
  });
}

/** Milliseconds of a step, and of its parts, one after the other; medians. */
async function timeKind(
  gpu: Gpu,
  trainer: Trainer,
  kind: StepKind,
  { components, batch, latentSize, rounds }: Model,
) {
  const shape = { batch, latentSize, edit: kind === "edit" };
  const idle = await spent(() => gpu.idle());
  const times = { data: [], step: [], update: [] } as Record<string, number[]>;
  const timed = async (name: string, work: () => void | Promise<void>) => {
    const start = performance.now();
    await work();
    if (name !== "data") await gpu.idle();
    const taken = performance.now() - start - (name === "data" ? 0 : idle);
    times[name].push(Math.max(0, taken));
  };
  for (let i = 0; i <= rounds; i++) {
    let made = stubBatch(components, shape);
    await timed("data", () => {
      made = stubBatch(components, shape);
    });
    await timed("step", () => trainer.step(i, made));
    await timed("update", () => trainer.update(i, { learningRate: 0 }));
  }
  // The first warms up.
  const [data, step, update] = ["data", "step", "update"]
    .map((name) => median(times[name].slice(1)));
  const passes = gpu.hasTimestamps
    ? await timePasses(trainer, kind, step)
    : undefined;
  return {
    step: data + step + update,
    ...passes,
    optimiser: update,
    data,
  };
}

/** How a step's time divides into passes; what is not on the GPU's clock is the towers'. */
async function timePasses(trainer: Trainer, kind: StepKind, step: number) {
  const plan = trainer.plans.plan(kind);
  const times = await plan.profile();
  const { begin, end } = await plan.timeRuns(1);
  const whole = Math.min(step, Number(end - begin) / 1e6);
  const first = trainer.plans.forwardDispatches(kind);
  const forward = whole * sum(times.slice(0, first)) / sum(times);
  return { towers: step - whole, forward, backward: whole - forward };
}

/** What a run takes with each choice of what is computed again. */
function memoryTable(
  model: Model,
  choose: KernelChooser,
  gpu: Gpu | undefined,
): Table {
  const { components, dtype, batch, latentSize } = model;
  const rows = STAGES.flatMap((stage): Row[] => {
    const { lambdaNoise, lambdaEdit } = stageSettings(stage);
    const plain: StepShape = { batch, size: latentSize, lambdaNoise };
    const choices = namedChoices(runCosts({
      components,
      storage: dtype,
      trainable: stageTrainable(stage, components),
      choose,
      limits: gpu?.limits ?? ROOMY,
      shapes: lambdaEdit === undefined
        ? [plain]
        : [plain, { ...plain, lambdaEdit }],
    }));
    const [none] = choices;
    return choices.map(({ name, cost: { bytes, flops, memory } }) => ({
      labels: [`stage ${stage}`, name],
      figures: [
        figure("memory", bytes, "bytes"),
        ...Object.entries(memory)
          .map(([part, bytes]) => figure(part, bytes, "bytes")),
        figure("operations", flops / 1e9, "GFLOP"),
        figure("more", flops / none.cost.flops - 1, "share"),
      ],
    }));
  });
  return {
    section: "training memory",
    subject: describe(model),
    rows,
    notes: [
      `computed again in the backward pass (--recompute of tools/train.ts); ${
        gpu ? "by this adapter's kernels" : "by a GPU's kernels"
      }, planned`,
    ],
  };
}
