/**
 * LoRA: a change of low rank beside a network's weights.
 *
 * @module
 */
import { type LowRank, lowRankDelta } from "./delta_kinds.ts";
import type { WeightDelta } from "./deltas.ts";
import type { WeaveFile } from "./weave.ts";

/** What a LoRA changes in one layer: its weight becomes W + alpha / rank · up · down. */
export interface LoraLayer {
  /** The layer's path in the network, such as `mid_block.attentions.0.proj_in`. */
  readonly path: string;
  /** The shape of its weight as `*.weave` has it: (O, I), or (O, kh, kw, I) of a convolution. */
  readonly shape: readonly number[];
  /** R */
  readonly rank: number;
  /** What the product is multiplied by, times the rank. */
  readonly alpha: number;
  /** (R, I) or (R, kh, kw, I), `lora_A` */
  readonly down: Float32Array;
  /** (O, R), `lora_B` */
  readonly up: Float32Array;
}

/** What a LoRA of any kind does to one tensor, with values that are read when they are needed. */
export interface TensorDelta {
  /** The tensor's name in its component, such as `conv_in.weight`. */
  readonly name: string;
  /** Its shape as `*.weave` has it. */
  readonly shape: readonly number[];
  /** The rank, where it is a product of two matrices that {@linkcode readLowRank} reads. */
  readonly rank?: number;
  /**
   * The delta with its values in memory.
   *
   * @param strength what it is multiplied by; 1 is as it was trained
   * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
   */
  read(strength: number): Promise<WeightDelta>;
  /**
   * The two matrices of a delta that has a {@linkcode rank}; alpha is in `up`.
   *
   * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
   */
  readLowRank?(): Promise<LowRank>;
}

const WEIGHT = ".weight";

/** The name of a layer's weight. */
export function weightName(path: string): string {
  return path + WEIGHT;
}

/** Paths of the layers that a LoRA can change, those that multiply: their weights have more than one axis. */
export function layerPaths({ tensors }: WeaveFile): string[] {
  return [...tensors.values()]
    .filter(({ name, shape }) => name.endsWith(WEIGHT) && shape.length > 1)
    .map(({ name }) => name.slice(0, -WEIGHT.length));
}

/**
 * The deltas of a LoRA, for `withDeltas`.
 *
 * @param strength what each is multiplied by; 1 is as it was trained
 * @throws {MasterWeaverError} `bad-option` where factors do not fit a layer's shape
 */
export function loraDeltas(
  layers: readonly LoraLayer[],
  strength = 1,
): WeightDelta[] {
  return layers.map(({ path, shape, rank, alpha, down, up }) =>
    lowRankDelta(
      weightName(path),
      shape,
      { rank, down, up },
      strength * alpha / rank,
    )
  );
}
