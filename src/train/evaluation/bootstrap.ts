/**
 * Means over several people's images, with confidence intervals.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { RandomStream } from "../data/random.ts";

/** A mean and how far it can be trusted. */
export interface Estimate {
  /** The mean of all values. */
  readonly mean: number;
  /** The confidence interval's lower end. */
  readonly low: number;
  /** Its upper end. */
  readonly high: number;
  /** How many groups the values came in. */
  readonly groups: number;
  /** How many values. */
  readonly values: number;
}

/** How intervals are found. */
export interface BootstrapOptions {
  /** The same seed gives the same interval. */
  readonly seed: number;
  /** How often the groups are drawn (2000). */
  readonly resamples?: number;
  /** The interval's confidence, between 0 and 1 (0.95). */
  readonly confidence?: number;
}

/**
 * The mean of values that come in groups, such as one person's images, with the
 * percentile interval of a cluster bootstrap: whole groups are drawn with
 * replacement, since values of one group resemble each other. With one group the
 * interval is that group's mean alone, and says nothing.
 *
 * @param groups the values of each group; empty groups do not count
 * @throws {MasterWeaverError} `bad-option` where there is no value, or a number of resamples or a confidence that makes no interval
 *
 * @example
 * ```ts
 * import { clusterBootstrap } from "./bootstrap.ts";
 *
 * const { mean, low, high } = clusterBootstrap([[0.6, 0.7], [0.5], [0.8, 0.6]], { seed: 1 });
 * console.log(mean, low, high);
 * ```
 */
export function clusterBootstrap(
  groups: readonly (readonly number[])[],
  { seed, resamples = 2000, confidence = 0.95 }: BootstrapOptions,
): Estimate {
  if (!Number.isSafeInteger(resamples) || resamples < 1) {
    throw bad(`${resamples} resamples, expected a whole number from 1`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw bad(`a confidence of ${confidence}, expected one between 0 and 1`);
  }
  const filled = groups.filter(({ length }) => length > 0);
  const sums = filled.map((group) => group.reduce((a, b) => a + b, 0));
  const counts = filled.map(({ length }) => length);
  const values = counts.reduce((a, b) => a + b, 0);
  if (values === 0) throw bad("no values, expected at least one");
  const stream = new RandomStream(seed, "bootstrap");
  const means = Array.from({ length: resamples }, () => {
    let sum = 0;
    let count = 0;
    for (let i = 0; i < filled.length; i++) {
      const drawn = stream.integer(filled.length);
      sum += sums[drawn];
      count += counts[drawn];
    }
    return sum / count;
  }).sort((a, b) => a - b);
  const outside = (1 - confidence) / 2;
  return {
    mean: sums.reduce((a, b) => a + b, 0) / values,
    low: quantile(means, outside),
    high: quantile(means, 1 - outside),
    groups: filled.length,
    values,
  };
}

/** The value below which a share of sorted values lies, between two neighbours. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

function bad(what: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `A confidence interval cannot be found from ${what}`,
  );
}
