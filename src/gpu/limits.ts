/**
 * The storage type and the device limits on which an op's launches depend.
 *
 * @module
 */

/** Storage type of activations and weights on the GPU; accumulation is f32. */
export type StorageType = "f16" | "f32";

/** The limits on which an op's launches and a tensor's place depend. */
export interface GpuLimits {
  /** Largest range of a buffer that can be bound, in bytes. */
  readonly maxStorageBufferBindingSize: number;
  /** Largest single buffer, in bytes. */
  readonly maxBufferSize: number;
  /** Most workgroups along one dimension of a dispatch. */
  readonly maxComputeWorkgroupsPerDimension: number;
}
