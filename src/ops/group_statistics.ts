/**
 * Mean and scale of the groups of a group norm, which its gradient needs as well:
 * moments of partial sums over pixels, then their merging.
 *
 * @module
 */
import sums from "../../shaders/group_norm_sums.wgsl" with { type: "text" };
import merge from "../../shaders/group_norm_merge.wgsl" with { type: "text" };
import {
  elementBytes,
  elementCount,
  type Launch,
  reads,
  readsScratch,
  type ScratchSpec,
  type Target,
  type TensorSpec,
  writesScratch,
} from "./op.ts";
import {
  partialSlices,
  type PartialSums,
  partialSums,
} from "./partial_sums.ts";
import { bindRows } from "./slices.ts";
import { vec4Code } from "./stored_vectors.ts";

/** Scratch of the statistics: moments of the partial sums, and mean and scale of every channel. */
export type StatisticsScratch = "moments" | "statistics";
/** A launch of the statistics. */
export type StatisticsLaunch = Launch<
  "x" | "weight",
  never,
  StatisticsScratch
>;

/** Which groups, and whether their scale includes the weight. */
export interface Statistics {
  /** Number of groups G; C is a multiple of it. */
  readonly groups: number;
  /** Added to the variance. */
  readonly eps: number;
  /** Whether a channel's scale is multiplied by its weight. */
  readonly weighted: boolean;
}

/** An image tensor (B, …, C), its pixels in partial sums. */
export interface GroupLayout extends PartialSums {
  /** Number of channels C. */
  readonly channels: number;
}

/** Divides each image of x (B, …, C) into partial sums of pixels. */
export function groupLayout(x: TensorSpec): GroupLayout {
  const batch = x.shape[0];
  const channels = x.shape.at(-1)!;
  const pixels = elementCount(x.shape) / batch / channels;
  return { channels, ...partialSums(batch, pixels) };
}

/** The scratch of {@linkcode launchStatistics}. */
export function statisticsScratch(
  x: TensorSpec,
): Record<StatisticsScratch, ScratchSpec> {
  const { batch, channels, partials } = groupLayout(x);
  return {
    moments: { shape: [batch, partials, 3, channels], dtype: "f32" },
    statistics: { shape: [batch, 2, channels], dtype: "f32" },
  };
}

/** Computes mean and scale of every channel of x: (B, 2, C) in `statistics`. */
export function launchStatistics(
  x: TensorSpec,
  statistics: Statistics,
  target: Target,
): StatisticsLaunch[] {
  return [...launchSums(x, target), launchMerge(x, statistics)];
}

/** Computes the moments of x, one partial sum of four channels per invocation. */
function launchSums(
  x: TensorSpec,
  { limits, storage }: Target,
): StatisticsLaunch[] {
  const layout = groupLayout(x);
  const { channels, pixels, partial, partials } = layout;
  const rowBytes = channels * elementBytes(x.dtype);
  return partialSlices(layout, rowBytes, limits).map((slice) => {
    const total = slice.partials * channels / 4;
    return {
      shader: "group_norm_sums",
      code: vec4Code(storage) + sums,
      bind: bindRows<StatisticsLaunch["bind"][number]>(
        [...reads("x"), ...writesScratch("moments")],
        slice,
        { x: rowBytes },
      ),
      params: {
        pixels,
        channels4: channels / 4,
        partials,
        partial,
        first_partial: slice.firstPartial,
        first_source: slice.start,
        total,
      },
      workgroups: Math.ceil(total / 32),
    };
  });
}

/** Merges partial sums into mean and scale, one group per invocation. */
function launchMerge(
  x: TensorSpec,
  { groups, eps, weighted }: Statistics,
): StatisticsLaunch {
  const { batch, channels, pixels, partial, partials } = groupLayout(x);
  return {
    shader: "group_norm_merge",
    code: merge,
    constants: { WEIGHTED: Number(weighted) },
    bind: [
      ...readsScratch("moments"),
      ...reads("weight"),
      ...writesScratch("statistics"),
    ],
    params: {
      pixels,
      channels,
      partials,
      partial,
      groups,
      total: batch * groups,
      eps,
    },
    workgroups: Math.ceil(batch * groups / 32),
  };
}
