/**
 * A Brownian motion that is the same wherever and in whatever order it is asked for:
 * `torchsde.BrownianInterval` with `halfway_tree`, as diffusers and k-diffusion use it.
 *
 * Its interval is halved again and again; each half's increment is drawn from a seed that
 * only depends on its place.
 *
 * @module
 */
import {
  type LatentSizes,
  type NoiseSettings,
  noiseSource,
} from "./latent_noise.ts";
import { seedSequence } from "./seed_sequence.ts";

/** Times are rounded to so many decimals, which ends the halving. */
const DECIMALS = 6;
/** Words into which NumPy mixes a seed. */
const POOL = 24;
/** Increments that are kept, of which neighbours need most again. */
const KEPT = 45;

const f = Math.fround;

/** An interval in the tree. */
interface Interval {
  readonly start: number;
  readonly end: number;
  /** Which of the 2^depth intervals of its depth. */
  readonly place: bigint;
  readonly depth: number;
  /** What it is a half of; null for the whole. */
  readonly parent: Interval | null;
}

/** Increments of a Brownian motion in every element of latents. */
export class BrownianTree {
  readonly #settings: NoiseSettings;
  readonly #sizes: LatentSizes;
  readonly #entropy: bigint;
  readonly #root: Interval;
  readonly #kept = new Map<string, Float32Array>();
  readonly #whole: Float32Array;

  /**
   * A motion from one time to a later one.
   *
   * @param settings the seed, and which of PyTorch's generators draws
   * @throws {MasterWeaverError} `bad-option`
   */
  constructor(
    settings: NoiseSettings,
    sizes: LatentSizes,
    start: number,
    end: number,
  ) {
    this.#settings = settings;
    this.#sizes = sizes;
    this.#entropy = BigInt.asUintN(64, BigInt(settings.seed));
    this.#root = {
      start: rounded(start),
      end: rounded(end),
      place: 0n,
      depth: 0,
      parent: null,
    };
    const [seed] = seedSequence(this.#entropy, [], POOL, 3);
    const scale = f(Math.sqrt(end - start));
    this.#whole = this.#draw(seed).map((value) => value * scale);
  }

  /**
   * The increment from one time to another, divided by the root of the time between.
   *
   * @returns (B, h, w, C), of variance 1
   */
  noise(from: number, to: number): Float32Array {
    const [start, end] = [Math.min(from, to), Math.max(from, to)];
    const clamped = (time: number) =>
      Math.min(Math.max(rounded(time), this.#root.start), this.#root.end);
    const intervals = this.#find(this.#root, clamped(start), clamped(end));
    const sum = Float32Array.from(this.#increment(intervals[0]));
    for (const interval of intervals.slice(1)) {
      const more = this.#increment(interval);
      sum.forEach((value, i) => sum[i] = value + more[i]);
    }
    const divisor = f(Math.sqrt(f(end - start))) * (from < to ? 1 : -1);
    return sum.map((value) => value / divisor);
  }

  /** The fewest intervals that make up a time span, in order. */
  #find(interval: Interval, start: number, end: number): Interval[] {
    if (start === interval.start && end === interval.end) return [interval];
    const middle = middleOf(interval);
    const [left, right] = halves(interval, middle);
    if (end <= middle) return this.#find(left, start, end);
    if (start >= middle) return this.#find(right, start, end);
    return [
      ...this.#find(left, start, middle),
      ...this.#find(right, middle, end),
    ];
  }

  #increment(interval: Interval): Float32Array {
    const { parent } = interval;
    if (parent === null) return this.#whole;
    const key = `${interval.depth} ${interval.place}`;
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const whole = this.#increment(parent);
    const left = middleOf(parent) - parent.start;
    const right = parent.end - middleOf(parent);
    const perTime = 1 / (parent.end - parent.start);
    const deviation = f(Math.sqrt(left * right * perTime));
    const [seed] = seedSequence(
      this.#entropy,
      [parent.place, BigInt(parent.depth)],
      POOL,
      4,
    );
    const noise = this.#draw(seed);
    const isLeft = interval.place % 2n === 0n;
    const increment = whole.map((value, i) => {
      const mean = f(f(f(left) * value) * f(perTime));
      const own = f(mean + f(deviation * noise[i]));
      return isLeft ? own : value - own;
    });
    if (this.#kept.size >= KEPT) {
      this.#kept.delete(this.#kept.keys().next().value!);
    }
    this.#kept.set(key, increment);
    return increment;
  }

  #draw(seed: number): Float32Array {
    return noiseSource({ ...this.#settings, seed }, this.#sizes)();
  }
}

function middleOf({ start, end }: Interval): number {
  return rounded(0.5 * (end + start));
}

function halves(parent: Interval, middle: number): [Interval, Interval] {
  const { start, end, place, depth } = parent;
  const half = (start: number, end: number, side: bigint) => ({
    start,
    end,
    place: 2n * place + side,
    depth: depth + 1,
    parent,
  });
  return [half(start, middle, 0n), half(middle, end, 1n)];
}

/** Python's `round` to {@linkcode DECIMALS} decimals, but for exact halves. */
function rounded(time: number): number {
  return Number(time.toFixed(DECIMALS));
}
