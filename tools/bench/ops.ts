/**
 * Times this project's ops, each checked against f64 first.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { type Effort, medianTimes } from "./clock.ts";
import { makeOwn } from "./ours.ts";
import { type Roofline, shareOfRoofline } from "./roofline.ts";
import { bytesOf, describeWork, flopsOf, type Row, speedOf } from "./rows.ts";
import { figure, tableLines } from "./table.ts";
import { expected, halved, makeValues, sampleError } from "./values.ts";

/** One op's time. */
export interface OpTiming {
  /** Which network has it, and what it is. */
  readonly name: string;
  /** Its sizes. */
  readonly shapes: string;
  /** Storage of activations and weights. */
  readonly dtype: StorageType;
  /** The shaders it ran, with how many dispatches of each. */
  readonly shaders: readonly string[];
  /** NMSE of a sample of the result against f64. */
  readonly error: number;
  /** Whether the error is within {@linkcode TOLERANCE}; if not, the time counts for nothing. */
  readonly right: boolean;
  /** Milliseconds of one run, the median. */
  readonly milliseconds: number;
  /** GFLOP/s, of ops bound by arithmetic. */
  readonly gflops?: number;
  /** GB/s if every input is read once and the result written, of ops that have no flops. */
  readonly gigabytes?: number;
  /** The share of the adapter's ceiling it reaches, where that was measured. */
  readonly ofRoofline?: number;
  /** What oneDNN reaches on two quiet cores, in GFLOP/s or GB/s. */
  readonly oneDnn?: number;
}

/** Largest NMSE of an op, by storage type: those of the project's tests. */
export const TOLERANCE: Readonly<Record<StorageType, number>> = {
  f32: 1e-10,
  f16: 1e-6,
};

/** Times rows, one after the other. */
export async function benchOps(
  gpu: Gpu,
  storage: StorageType,
  rows: readonly Row[],
  effort: Effort,
  roofline?: Roofline,
): Promise<OpTiming[]> {
  const timings: OpTiming[] = [];
  for (const row of rows) {
    timings.push(await timeRow(gpu, storage, row, effort, roofline));
  }
  return timings;
}

async function timeRow(
  gpu: Gpu,
  storage: StorageType,
  { name, work, oneDnn }: Row,
  effort: Effort,
  roofline: Roofline | undefined,
): Promise<OpTiming> {
  const values = makeValues(work);
  const stored = storage === "f16" ? values.map(halved) : values;
  await using own = await makeOwn(gpu, storage, work, values);
  own.queue();
  const error = sampleError(expected(work, stored), await own.read());
  const [milliseconds] = await medianTimes([own], effort);
  const flops = flopsOf(work);
  const size = storage === "f16" ? 2 : 4;
  return {
    name,
    shapes: describeWork(work),
    dtype: storage,
    shaders: own.shaders,
    error,
    right: error <= TOLERANCE[storage],
    milliseconds,
    [flops > 0 ? "gflops" : "gigabytes"]: speedOf(work, size, milliseconds),
    ...(roofline && {
      ofRoofline: shareOfRoofline(roofline, {
        flops,
        bytes: bytesOf(work, size),
        milliseconds,
      }),
    }),
    ...(oneDnn !== undefined && { oneDnn }),
  };
}

/** The timings as lines for a person. */
export function opLines(
  timings: readonly OpTiming[],
  storage: StorageType,
): string[] {
  const withRoofline = timings.some(({ ofRoofline }) => ofRoofline);
  const rows = timings.map((timing) => {
    const speed = timing.gflops ?? timing.gigabytes!;
    const { oneDnn, ofRoofline, shaders } = timing;
    return [
      timing.name,
      timing.shapes,
      `${figure(timing.milliseconds)} ms`,
      timing.right
        ? `${figure(speed)} ${timing.gflops ? "GFLOP/s" : "GB/s"}`
        : `WRONG: NMSE ${timing.error.toExponential(1)}`,
      ...(withRoofline ? [`${((ofRoofline ?? 0) * 100).toFixed(0)} %`] : []),
      ...(oneDnn ? [figure(oneDnn), `${figure(oneDnn / speed)}×`] : ["", ""]),
      shaders.join(", "),
    ];
  });
  const headings = [
    "",
    "",
    "time",
    "speed",
    ...(withRoofline ? ["of ceiling"] : []),
    "oneDNN*",
    "remains",
    "shaders",
  ];
  return [
    `Ops, ${storage}, each checked against f64 (NMSE at most ${
      TOLERANCE[storage]
    })`,
    ...tableLines([headings, ...rows], [0, 1, headings.length - 1]),
    "  * published for two quiet cores, f32, in GFLOP/s or GB/s; not measured here",
  ];
}
