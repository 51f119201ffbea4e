/**
 * Dispatches: what a plan replays, as a pass takes it.
 *
 * @module
 */
import type { GpuLimits } from "./limits.ts";

/** A launch, ready to run. */
export interface Dispatch {
  /** What runs. */
  readonly pipeline: GPUComputePipeline;
  /** On what. */
  readonly bindGroup: GPUBindGroup;
  /** Where its parameters begin, in bytes, alone in an array as WebGPU wants it. */
  readonly offsets: number[];
  /** Number of workgroups. */
  readonly workgroups: number;
  /** The same over x and y, as `group_index` of the prelude reads them. */
  readonly groups: readonly [number, number];
}

/** Workgroups over two axes, as `group_index` of the prelude reads them. */
export function foldGroups(
  workgroups: number,
  { maxComputeWorkgroupsPerDimension: most }: GpuLimits,
): readonly [number, number] {
  const rows = Math.ceil(workgroups / most);
  return rows <= 1 ? [workgroups, 1] : [Math.ceil(workgroups / rows), rows];
}

/**
 * Adds a launch to a pass, whole.
 *
 * @param whole bind group 1 of a dispatch that begins at workgroup 0
 */
export function encodeDispatch(
  pass: GPUComputePassEncoder,
  { pipeline, bindGroup, offsets, groups }: Dispatch,
  whole: GPUBindGroup,
): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup, offsets);
  pass.setBindGroup(1, whole);
  pass.dispatchWorkgroups(groups[0], groups[1]);
}
