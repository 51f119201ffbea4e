/**
 * Says whether there is a GPU at all, before anything is loaded for it.
 *
 * @module
 */

/** What there is: no WebGPU, no adapter, one that runs shaders on the CPU, or a GPU. */
export type AdapterKind = "no-webgpu" | "no-adapter" | "software" | "gpu";

/** Asks what there is; opens no device. */
export async function adapterKind(): Promise<AdapterKind> {
  if (!navigator.gpu) return "no-webgpu";
  const adapter = await navigator.gpu.requestAdapter({
    powerPreference: "high-performance",
  }).catch(() => null);
  if (!adapter) return "no-adapter";
  return adapter.info.isFallbackAdapter ? "software" : "gpu";
}
