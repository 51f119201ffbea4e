/**
 * How long a plan takes, by a clock that may tick coarsely: a browser's
 * timestamps step by 65 µs, its `performance.now` by up to a millisecond.
 *
 * @module
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "./plan.ts";

/** Measures runs of plans. */
export interface Stopwatch {
  /** Milliseconds that so many runs take, one after the other. */
  time(plan: Plan, runs: number): Promise<number>;
  /** Milliseconds below which it cannot tell a difference, as far as it knows by now. */
  readonly tick: number;
}

/** A sample is so many ticks long, so that one of them is 2 % of it. */
const TICKS = 50;
/** Milliseconds after which a sample is long enough for any clock. */
const LONG = 250;
/** Most runs of a sample: for a clock that stands still. */
const MOST_RUNS = 1024;

/**
 * Milliseconds of one run, from as many runs at a time as the clock needs.
 *
 * @param time measures so many runs
 * @param tick what the clock cannot tell; asked after each sample
 * @param samples how many long ones there are; the median counts
 * @param limit a run that takes longer is sampled but once
 */
export async function timeOneRun(
  time: (runs: number) => Promise<number>,
  tick: () => number,
  samples: number,
  limit = Infinity,
): Promise<number> {
  let runs = 1;
  const times: number[] = [];
  while (times.length < samples) {
    const elapsed = await time(runs);
    const wanted = Math.min(LONG, TICKS * tick());
    if (elapsed < wanted && runs < MOST_RUNS) {
      // As many as it likely takes, and a few more; twice as many at least.
      const needed = Math.ceil(1.2 * runs * wanted / Math.max(elapsed, 1e-9));
      runs = Math.min(
        MOST_RUNS,
        Math.max(2 * runs, Math.min(needed, 8 * runs)),
      );
      // Those before were too short to be compared.
      times.length = 0;
      continue;
    }
    times.push(elapsed / runs);
    if (elapsed / runs > limit) break;
  }
  return times.toSorted((a, b) => a - b)[times.length >> 1];
}

/** The best clock a GPU has. */
export function stopwatchOf(gpu: Gpu): Stopwatch {
  return gpu.hasTimestamps ? new GpuStopwatch() : new WallStopwatch(gpu);
}

/** The GPU's own clock. */
class GpuStopwatch implements Stopwatch {
  /** Nanoseconds of which every time so far is a multiple. */
  #step = 0n;

  /** Milliseconds of what it counts in. */
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

/** The clock on the wall, and waiting for the GPU. */
export class WallStopwatch implements Stopwatch {
  readonly #gpu: Gpu;
  readonly #now: () => number;
  /** Milliseconds of a step of the clock; once measured. */
  #step: number | null = null;
  /** Milliseconds it takes to wait for nothing; once measured. */
  #wait: number | null = null;

  /**
   * Nothing is measured yet.
   *
   * @param gpu what it waits for
   * @param now milliseconds; `performance.now` where not given
   */
  constructor(gpu: Gpu, now: () => number = () => performance.now()) {
    this.#gpu = gpu;
    this.#now = now;
  }

  /** Milliseconds of a step of the clock, and of what waiting may differ by. */
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

/** How many steps of a clock are looked at. */
const STEPS = 4;
/** How often a clock that may stand still is looked at. */
const LOOKS = 1e6;

/** Milliseconds between two readings of a clock that differ: the least of some. */
export function clockStep(now: () => number): number {
  let step = Infinity;
  let last = now();
  let steps = 0;
  for (let look = 0; look < LOOKS && steps < STEPS; look++) {
    const time = now();
    if (time === last) continue;
    // The first is a part of a step: it was begun in the midst of one.
    if (steps > 0) step = Math.min(step, time - last);
    last = time;
    steps++;
  }
  // Where nothing was seen it is coarser than all that looking.
  return Number.isFinite(step) ? step : 100;
}
