/**
 * What decides how an op is computed on an adapter: how it stores numbers, and
 * how much of them a binding, a buffer and a dispatch take.
 *
 * @module
 */

/** Storage type of activations and weights on the GPU; accumulation is f32. */
export type StorageType = "f16" | "f32";

/** The limits that decide how an op is launched or a tensor is placed. */
export interface GpuLimits {
  /** Largest range one shader binding may see, in bytes. */
  readonly maxStorageBufferBindingSize: number;
  /** Largest single buffer, in bytes. */
  readonly maxBufferSize: number;
  /** Most workgroups along one dimension of a dispatch. */
  readonly maxComputeWorkgroupsPerDimension: number;
}
