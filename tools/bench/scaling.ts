/**
 * How a step's time and memory grow: with the image's size, with images at
 * once, with the storage of weights.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { callsLine } from "./census.ts";
import { ROOMY, total } from "./cost.ts";
import type { ModelSizes } from "./invented.ts";
import { baselineKernels, graphFlops, planBytes } from "./kernels.ts";
import { planStep, type StepTask, type StepTiming, timeStep } from "./step.ts";
import { figure, type Row, type Table } from "./table.ts";

/** What is varied, each from the model's own size, one image, the best storage. */
export interface ScalingTask {
  /** The model. */
  readonly sizes: ModelSizes;
  /** Sides of square images. */
  readonly sides: readonly number[];
  /** Columns and rows of the other series' images; the model's own where not given. */
  readonly size?: readonly [number, number];
  /** Images at once. */
  readonly batches: readonly number[];
  /** Storage of weights; activations are f32 with f32, else the best. */
  readonly weights: readonly ModelDtype[];
}

/** A step to be timed, and what is varied in it. */
type ScalingStep = StepTask & {
  readonly series: "size" | "batch" | "weights";
};

/** Every step to be timed, a series after the other. */
export function scalingTasks(
  { sizes, sides, size, batches, weights }: ScalingTask,
  best: StorageType,
): ScalingStep[] {
  const usual = { sizes, size, dtype: best, weights: best, batch: 1 } as const;
  return [
    ...sides.map((side): ScalingStep => (
      { ...usual, series: "size", size: [side, side] }
    )),
    ...batches.map((batch): ScalingStep => (
      { ...usual, series: "batch", batch }
    )),
    ...weights.map((stored): ScalingStep => (
      {
        ...usual,
        series: "weights",
        weights: stored,
        dtype: stored === "f32" ? "f32" : best,
      }
    )),
  ];
}

/** What is known of a step; without times where it was only planned. */
type Measured =
  & Pick<StepTiming, "size" | "peakBytes">
  & Partial<StepTiming>
  & { readonly flops: number };

/**
 * Times each step once, after another; or plans it only.
 *
 * @param gpu where it runs; without one memory is counted and nothing timed
 */
export async function benchScaling(
  task: ScalingTask,
  best: StorageType,
  gpu: Gpu | undefined,
): Promise<Table> {
  const rows: Row[] = [];
  const notes: string[] = gpu ? [] : ["planned and not run"];
  // What is in several series is timed once.
  const known = new Map<string, Measured>();
  const firsts = new Map<string, number>();
  for (const { series, ...step } of scalingTasks(task, best)) {
    const planned = measurePlan(step);
    const { dtype, weights, batch } = step;
    const key = [planned.size, batch, dtype, weights].join(" ");
    const found = known.get(key) ??
      { ...planned, ...gpu && await timeStep(gpu, step) };
    known.set(key, found);
    if (found.calls && notes.length === 0) notes.push(callsLine(found.calls));
    const { size, flops, milliseconds, gflops, peakBytes } = found;
    // Operations where there is no time.
    const perPixel = (milliseconds ?? flops) / (size[0] * size[1] * batch);
    const first = firsts.get(series) ?? perPixel;
    firsts.set(series, first);
    const labels = [series, size.join("×"), `${batch}`, dtype, weights];
    rows.push({
      labels,
      figures: [
        figure("operations", flops / 1e9, "GFLOP"),
        ...gpu
          ? [
            figure("time", milliseconds, "ms"),
            figure("speed", gflops, "GFLOP/s"),
          ]
          : [],
        figure("a pixel", perPixel / first, "×"),
        figure("memory", peakBytes, "bytes"),
      ],
    });
  }
  return {
    section: "scaling",
    subject: `a step of ${task.sizes.name}, guidance on, weights made up; ` +
      "varied, size, at once, activations, weights",
    rows,
    notes,
  };
}

/** What a step takes, counted. */
function measurePlan(step: StepTask): Measured {
  const { graph, size } = planStep(step);
  const memory = planBytes(graph, baselineKernels(graph), ROOMY);
  const peakBytes = total(Object.values(memory), (bytes) => bytes);
  return { size, peakBytes, flops: graphFlops(graph) };
}
