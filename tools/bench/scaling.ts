/**
 * How a step's time and memory grow: with the image's size, with images at
 * once, with the storage of weights.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { callsLine } from "./call_counter.ts";
import { graphFlops, planBytes, ROOMY, sum } from "./cost.ts";
import type { ModelSizes } from "./synthetic.ts";
import { planStep, type StepTask, timeStep } from "./step.ts";
import { figure, type Row, type Table } from "./table.ts";

/** What is varied, each from the model's own size, one image, the best storage. */
export interface ScalingTask {
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

/** Every step to be timed, a series after the other. */
export function scalingTasks(
  { sizes, sides, size, batches, weights }: ScalingTask,
  best: StorageType,
) {
  const usual = { sizes, size, dtype: best, weights: best, batch: 1 };
  const varied = (series: string, step: Partial<StepTask>) => (
    { series, ...usual, ...step }
  );
  return [
    ...sides.map((side) => varied("size", { size: [side, side] })),
    ...batches.map((batch) => varied("batch", { batch })),
    ...weights.map((weights) =>
      varied("weights", { weights, dtype: weights === "f32" ? "f32" : best })
    ),
  ];
}

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
    const { dtype, weights, batch } = step;
    const planned = measurePlan(step);
    const side = planned.size.join("×");
    const key = [side, batch, dtype, weights].join(" ");
    const found = known.get(key) ??
      { ...planned, ...gpu && await timeStep(gpu, step) };
    known.set(key, found);
    if (found.calls && notes.length === 0) notes.push(callsLine(found.calls));
    const { size, flops, milliseconds, gflops, peakBytes } = found;
    // Operations where there is no time.
    const perPixel = (milliseconds ?? flops) / (size[0] * size[1] * batch);
    const first = firsts.get(series) ?? perPixel;
    firsts.set(series, first);
    rows.push({
      labels: [series, side, `${batch}`, dtype, weights],
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
    subject: `a step of ${task.sizes.name}, guidance on, synthetic weights; ` +
      "varied, size, at once, activations, weights",
    rows,
    notes,
  };
}

/** What a step takes, counted; its times are added where it is run. */
type Measured =
  & ReturnType<typeof measurePlan>
  & Partial<Awaited<ReturnType<typeof timeStep>>>;

function measurePlan(step: StepTask) {
  const { graph, size } = planStep(step);
  const memory = planBytes(graph, new KernelChoice(graph), ROOMY);
  const peakBytes = sum(Object.values(memory));
  return { size, peakBytes, flops: graphFlops(graph) };
}
