/**
 * The learning rate of each step, as diffusers' `get_scheduler` defines it.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";

/** The schedules by diffusers' names. */
export const SCHEDULES = [
  "linear",
  "cosine",
  "cosine_with_restarts",
  "polynomial",
  "constant",
  "constant_with_warmup",
] as const;

/** A schedule's name. */
export type ScheduleName = typeof SCHEDULES[number];

/** A schedule and its numbers. */
export interface Schedule {
  /** Its name. */
  readonly name: ScheduleName;
  /** The learning rate after warm-up, before decay. */
  readonly learningRate: number;
  /** Steps over which the rate rises from 0; `constant` has none. */
  readonly warmupSteps: number;
  /** Steps after which a rate that falls has fallen. */
  readonly maxSteps: number;
  /** Restarts of `cosine_with_restarts`; 1 by default. */
  readonly cycles?: number;
  /** Power of `polynomial`; 1 by default. */
  readonly power?: number;
}

/** Where `polynomial` ends. */
const POLYNOMIAL_END = 1e-7;

/**
 * The learning rate of a step.
 *
 * @param step steps taken before, from 0 on
 * @throws {MasterWeaverError} `bad-option` if a polynomial rate starts below its end
 */
export function learningRateAt(schedule: Schedule, step: number): number {
  const { name, learningRate, warmupSteps } = schedule;
  if (name === "polynomial" && !(learningRate > POLYNOMIAL_END)) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot follow the polynomial schedule: expected a learning rate above ${POLYNOMIAL_END}, where it ends, got ${learningRate}`,
    );
  }
  if (name === "constant") return learningRate;
  if (step < warmupSteps) return learningRate * step / Math.max(1, warmupSteps);
  return learningRate * decay(schedule, step);
}

/** The factor of the learning rate after warm-up. */
function decay(schedule: Schedule, step: number): number {
  const { name, learningRate, warmupSteps, maxSteps } = schedule;
  const { cycles = 1, power = 1 } = schedule;
  const length = Math.max(1, maxSteps - warmupSteps);
  const progress = (step - warmupSteps) / length;
  switch (name) {
    case "linear":
      return Math.max(0, (maxSteps - step) / length);
    case "cosine":
      return cosine(progress);
    case "cosine_with_restarts":
      return progress >= 1 ? 0 : cosine(cycles * progress % 1);
    case "polynomial": {
      const left = Math.max(0, 1 - progress);
      const range = learningRate - POLYNOMIAL_END;
      return (range * left ** power + POLYNOMIAL_END) / learningRate;
    }
    default:
      return 1;
  }
}

/** Half a period: 1 at 0, 0 at 1. */
function cosine(progress: number): number {
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
}

/** The learning rate for a larger batch, in proportion to it. */
export function scaleLearningRate(
  learningRate: number,
  processes: number,
  batch: number,
  accumulation: number,
): number {
  return learningRate * accumulation * batch * processes;
}

/**
 * How much of the running mean of the parameters stays at an update: little at
 * first, so that the mean leaves the values that training started from.
 *
 * Source: diffusers' `EMAModel`, without its options for a longer ramp.
 *
 * @param most decay that is reached in the end
 * @param number updates done before
 *
 * @example
 * ```ts
 * import { averageDecayAt } from "./schedules.ts";
 *
 * console.log(averageDecayAt(0.99, 0)); // 0: the mean is the parameters
 * console.log(averageDecayAt(0.99, 8)); // 0.5
 * ```
 */
export function averageDecayAt(most: number, number: number): number {
  return number === 0 ? 0 : Math.min(most, (1 + number) / (10 + number));
}
