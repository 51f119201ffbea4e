/**
 * Dispatches, as a plan records them and a compute pass replays them.
 *
 * @module
 */
import type { GpuLimits } from "./limits.ts";

/** A launch, ready to be encoded. */
export interface Dispatch {
  /** The compute pipeline. */
  readonly pipeline: GPUComputePipeline;
  /** Its buffers and textures: bind group 0. */
  readonly bindGroup: GPUBindGroup;
  /** The dynamic offset of its uniform, in bytes, as WebGPU's list of one. */
  readonly offsets: number[];
  /** Number of workgroups. */
  readonly workgroups: number;
  /** The workgroups along x and y, from which the prelude's `group_index` counts. */
  readonly groups: readonly [number, number];
}

/** Splits workgroups over x and y, from which the prelude's `group_index` counts. */
export function foldGroups(
  workgroups: number,
  { maxComputeWorkgroupsPerDimension: limit }: GpuLimits,
): readonly [number, number] {
  const rows = Math.ceil(workgroups / limit);
  return rows <= 1 ? [workgroups, 1] : [Math.ceil(workgroups / rows), rows];
}

/**
 * Encodes all workgroups of a launch.
 *
 * @param whole bind group 1 of a dispatch that starts at workgroup 0
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
