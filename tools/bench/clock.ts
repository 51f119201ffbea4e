/**
 * Takes the time of what runs on a GPU: warmed up, several contenders
 * interleaved, the median of several samples.
 *
 * @module
 */

/** Something to time. */
export interface Contender {
  /** Queues one run; what it returns is awaited before the next. */
  queue(): void | Promise<void>;
  /** Waits until everything queued is done. */
  wait(): Promise<void>;
}

/** How long is measured. */
export interface Sampling {
  readonly rounds: number;
  /** Short runs are queued together until a sample takes this many milliseconds. */
  readonly sample: number;
}

/** Enough for a figure that stays within a few per cent on a quiet machine. */
export const USUAL: Sampling = { rounds: 3, sample: 200 };

/** Most runs that are queued together. */
const MOST = 2000;

/**
 * Milliseconds of one run of each contender.
 *
 * All of them run once to warm up and once to see how long they take. Then
 * they take turns, each the same number of runs at a time, as many as make the
 * fastest busy for a sample, with one wait after them. What a wait costs by
 * itself (10 ms in Deno) is measured before and taken off.
 */
export async function medianTimes(
  contenders: readonly Contender[],
  { rounds, sample }: Sampling = USUAL,
): Promise<number[]> {
  const run = ({ queue, wait }: Contender, runs: number) =>
    spent(async () => {
      for (let i = 0; i < runs; i++) await queue();
      await wait();
    });
  const idle: number[] = [];
  const first: number[] = [];
  for (const each of contenders) {
    await run(each, 1);
    const waits = [await run(each, 0), await run(each, 0), await run(each, 0)];
    idle.push(median(waits));
    first.push(await run(each, 1) - idle.at(-1)!);
  }
  const fastest = Math.max(Math.min(...first), sample / MOST);
  const runs = Math.max(1, Math.ceil(sample / fastest));
  // A run long enough to be a sample has been one already.
  const samples = first.map((time) => runs === 1 ? [time] : []);
  while (samples[0].length < rounds) {
    for (const [i, each] of contenders.entries()) {
      samples[i].push((await run(each, runs) - idle[i]) / runs);
    }
  }
  return samples.map(median);
}

/** Milliseconds of some work. */
export async function spent(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The middle one; of an even number, the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[half]
    : (sorted[half - 1] + sorted[half]) / 2;
}
