/**
 * The small f32 vectors that the optimiser's ops hand each other.
 *
 * @module
 */
import type { TensorSpec } from "../op.ts";

/** Elements of an optimiser's state, f32 (4); the last is unused. */
export const STATE = { lossScale: 0, cleanSteps: 1, steps: 2 } as const;

/** Elements of a step's report, f32 (4). */
export const REPORT = {
  gradientNorm: 0,
  coefficient: 1,
  skipped: 2,
  lossScale: 3,
} as const;

/** The spec of a state or a report. */
export const record: TensorSpec = { shape: [4], dtype: "f32" };
