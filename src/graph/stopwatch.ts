/**
 * Times plans by a clock that may be coarse: a browser's timestamps advance by
 * 65 µs, its `performance.now` by up to a millisecond.
 *
 * @module
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "./plan.ts";

/** Measures runs of plans. */
export interface Stopwatch {
  /** Milliseconds that `runs` consecutive runs take. */
  time(plan: Plan, runs: number): Promise<number>;
  /** Resolution of the clock in milliseconds, as far as measured so far. */
  readonly tick: number;
}

/** Ticks that a sample must last, so that one tick is 2 % of it. */
const TICKS = 50;
/** Milliseconds that are long enough for a sample by any clock. */
const LONG_ENOUGH = 250;
/** Most runs per sample, in case the clock does not advance. */
const MAX_RUNS = 1024;

/**
 * Milliseconds of one run, the median of samples that are long enough for the clock.
 *
 * @param time times so many consecutive runs
 * @param tick the clock's resolution; called after each sample
 * @param samples number of samples that are long enough
 * @param limit sampling stops after a run that takes longer, in milliseconds
 */
export async function timeOneRun(
  time: (runs: number) => Promise<number>,
  tick: () => number,
  samples: number,
  limit: number = Infinity,
): Promise<number> {
  let runs = 1;
  const times: number[] = [];
  while (times.length < samples) {
    const elapsed = await time(runs);
    const wanted = Math.min(LONG_ENOUGH, TICKS * tick());
    if (elapsed < wanted && runs < MAX_RUNS) {
      // 20 % more than should suffice, but between 2 and 8 times as many as before.
      const needed = Math.ceil(1.2 * runs * wanted / Math.max(elapsed, 1e-9));
      runs = Math.min(
        MAX_RUNS,
        Math.max(2 * runs, Math.min(needed, 8 * runs)),
      );
      // Earlier samples were too short to be comparable.
      times.length = 0;
      continue;
    }
    times.push(elapsed / runs);
    if (elapsed / runs > limit) break;
  }
  return times.toSorted((a, b) => a - b)[times.length >> 1];
}

/** The most precise stopwatch for a GPU. */
export function stopwatchOf(gpu: Gpu): Stopwatch {
  return gpu.hasTimestamps ? new GpuStopwatch() : new WallStopwatch(gpu);
}

/** Times by the GPU's timestamps. */
class GpuStopwatch implements Stopwatch {
  /** Greatest common divisor of all timestamps so far, in nanoseconds. */
  #step = 0n;

  /** Resolution of the timestamps, in milliseconds. */
  get tick(): number {
    return Number(this.#step) / 1e6;
  }

  async time(plan: Plan, runs: number): Promise<number> {
    const { begin, end } = await plan.timeRuns(runs);
    this.#step = commonDivisor(commonDivisor(this.#step, begin), end);
    return Number(end - begin) / 1e6;
  }
}

function commonDivisor(a: bigint, b: bigint): bigint {
  while (b > 0n) [a, b] = [b, a % b];
  return a;
}

/** Times by the host's clock, from submission until the GPU is idle. */
export class WallStopwatch implements Stopwatch {
  readonly #gpu: Gpu;
  readonly #now: () => number;
  /** Resolution of the clock in milliseconds, once measured. */
  #step: number | null = null;
  /** Milliseconds that waiting for an idle GPU takes, once measured. */
  #wait: number | null = null;

  /**
   * A stopwatch that has measured nothing yet.
   *
   * @param gpu the device it waits for
   * @param now returns milliseconds; `performance.now` by default
   */
  constructor(gpu: Gpu, now: () => number = () => performance.now()) {
    this.#gpu = gpu;
    this.#now = now;
  }

  /** Milliseconds: the clock's resolution, or a tenth of the wait if that is more. */
  get tick(): number {
    return Math.max(this.#step ?? 0, (this.#wait ?? 0) / 10);
  }

  async time(plan: Plan, runs: number): Promise<number> {
    this.#step ??= clockStep(this.#now);
    this.#wait ??= await this.#elapsed(() => {});
    const elapsed = await this.#elapsed(() => {
      for (let run = 0; run < runs; run++) plan.run();
    });
    return Math.max(0, elapsed - this.#wait);
  }

  async #elapsed(work: () => void): Promise<number> {
    await this.#gpu.idle();
    const started = this.#now();
    work();
    await this.#gpu.idle();
    return this.#now() - started;
  }
}

/** How many steps of a clock are observed. */
const STEPS = 4;
/** Most readings of a clock, in case it does not advance. */
const READINGS = 1e6;

/** Resolution of a clock in milliseconds: the smallest of a few steps. */
export function clockStep(now: () => number): number {
  let step = Infinity;
  let last = now();
  let steps = 0;
  for (let reading = 0; reading < READINGS && steps < STEPS; reading++) {
    const time = now();
    if (time === last) continue;
    // The first is not a whole step: the readings started in the middle of one.
    if (steps > 0) step = Math.min(step, time - last);
    last = time;
    steps++;
  }
  // If it never advanced, it is coarser than all these readings took.
  return Number.isFinite(step) ? step : 100;
}
