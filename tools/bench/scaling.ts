/**
 * How a step's time and memory grow: with the image's size, with images at
 * once, with the storage of weights.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { stepGraph } from "../../src/generate/generator.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { callsLine } from "./census.ts";
import { countDispatches, countMemory } from "./cost.ts";
import { inventParts, type ModelSizes } from "./invented.ts";
import { layoutOf } from "./paper.ts";
import { type StepTask, type StepTiming, timeStep } from "./step.ts";
import { figure, tableLines } from "./table.ts";

/** What is varied, each from the model's own size, one image, f16. */
export interface ScalingTask {
  /** The model. */
  readonly sizes: ModelSizes;
  /** Sides of square images. */
  readonly sides: readonly number[];
  /** Columns and rows of the other series' images; the model's own where not given. */
  readonly size?: readonly [number, number];
  /** Images at once. */
  readonly batches: readonly number[];
  /** Storage of weights; activations are f32 with f32, else f16. */
  readonly weights: readonly ModelDtype[];
}

/** A row of the table; without times where it was only planned. */
export interface ScalingRow extends
  Pick<
    StepTiming,
    "model" | "size" | "batch" | "dtype" | "weights" | "peakGpuBytes"
  >,
  Partial<Pick<StepTiming, "milliseconds" | "gflops" | "calls">> {
  /** What is varied in it. */
  readonly series: "size" | "batch" | "weights";
  /** Operations of a step. */
  readonly flops: number;
  /** Time, or operations where there is none, a pixel: over those of the series' first. */
  readonly perPixel: number;
}

/** Every step to be timed, a series after the other. */
export function scalingTasks(
  { sizes, sides, size, batches, weights }: ScalingTask,
  best: StorageType,
): (StepTask & { readonly series: ScalingRow["series"] })[] {
  const usual = { sizes, dtype: best, weights: best, batch: 1 } as const;
  return [
    ...sides.map((side) => ({
      ...usual,
      series: "size" as const,
      size: [side, side] as const,
    })),
    ...batches.map((batch) => ({
      ...usual,
      ...(size && { size }),
      series: "batch" as const,
      batch,
    })),
    ...weights.map((stored) => ({
      ...usual,
      ...(size && { size }),
      series: "weights" as const,
      weights: stored,
      dtype: stored === "f32" ? "f32" as const : best,
    })),
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
): Promise<ScalingRow[]> {
  const rows: ScalingRow[] = [];
  // What is in several series is timed once.
  const known = new Map<string, Measured>();
  for (const { series, ...step } of scalingTasks(task, best)) {
    const planned = planStep(step);
    const { size, batch, dtype, weights } = planned;
    const key = [size, batch, dtype, weights].join(" ");
    const timed = known.get(key) ??
      (gpu ? await timeStep(gpu, step) : planned);
    known.set(key, timed);
    const row = { ...timed, series, flops: planned.flops };
    const first = rows.find((other) => other.series === series) ?? row;
    rows.push({ ...row, perPixel: perPixel(row) / perPixel(first) });
  }
  return rows;
}

type Measured = Omit<ScalingRow, "series" | "perPixel" | "flops">;

function perPixel(
  { milliseconds, flops, size, batch }: Omit<ScalingRow, "perPixel">,
): number {
  return (milliseconds ?? flops) / (size[0] * size[1] * batch);
}

/** What a step takes, counted. */
function planStep(
  { sizes, dtype, weights, size, batch }: StepTask,
): Measured & { readonly flops: number } {
  const parts = inventParts(sizes, weights);
  const layout = layoutOf(parts, size, batch);
  const graph = stepGraph(dtype, parts, layout);
  const memory = countMemory(graph);
  const { factor } = parts.vae.config;
  return {
    model: sizes.name,
    size: [layout.width * factor, layout.height * factor],
    batch,
    dtype,
    weights,
    peakGpuBytes: memory.weights + memory.arenas + memory.inputs,
    flops: countDispatches(graph).reduce((sum, { flops }) => sum + flops, 0),
  };
}

/** The rows as lines for a person. */
export function scalingLines(rows: readonly ScalingRow[]): string[] {
  const timed = rows.some(({ milliseconds }) => milliseconds !== undefined);
  const calls = rows.find((row) => row.calls)?.calls;
  return [
    `A step of ${rows[0]?.model}, guidance on, weights made up` +
    (timed ? "" : ", planned and not run"),
    ...tableLines([
      [
        "varied",
        "picture",
        "at once",
        "activations",
        "weights",
        "GFLOP",
        ...(timed ? ["time", "GFLOP/s"] : []),
        timed ? "time a pixel" : "GFLOP a pixel",
        "memory",
      ],
      ...rows.map((row) => [
        row.series,
        row.size.join("×"),
        `${row.batch}`,
        row.dtype,
        row.weights,
        figure(row.flops / 1e9),
        ...(row.milliseconds === undefined
          ? []
          : [`${figure(row.milliseconds)} ms`, figure(row.gflops!)]),
        `${row.perPixel.toFixed(2)}×`,
        `${(row.peakGpuBytes / 2 ** 20).toFixed(0)} MiB`,
      ]),
    ]),
    ...(calls ? [`  a step: ${callsLine(calls)}`] : []),
  ];
}
