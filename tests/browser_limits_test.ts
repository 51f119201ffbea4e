/**
 * Stable Diffusion 1.5 at full size under the limits that a browser's adapter has
 * at least, planned and not run: buffers, bindings, pipelines and bind groups are
 * made on a device that allows no more.
 */
import { assert, assertEquals } from "@std/assert";
import { Gpu, type StorageType } from "../src/gpu/gpu.ts";
import { PROMISED_LIMITS } from "./support/bindings.ts";
import { fullSizeComponents } from "./support/full_size.ts";
import {
  handedOver,
  imageGraphs,
  plannedBytes,
  ways,
} from "./support/full_size_plans.ts";
import { gpuTest } from "./support/gpu.ts";

/**
 * WebGPU's defaults, which every adapter has: the least of Firefox and Safari.
 * Chrome's least has 10 storage buffers, and holds whatever fits these.
 */
const limits = {
  ...PROMISED_LIMITS,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupStorageSize: 16 * 1024,
  maxStorageBuffersPerShaderStage: 8,
};

/** A device with no more than that, and with f16 for a storage type that is f16. */
async function openLimited(storage: StorageType): Promise<Gpu> {
  const { gpu } = navigator;
  const request = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (options) => {
    const adapter = (await request(options))!;
    return new Proxy(adapter, {
      get(target, name) {
        if (name === "limits") return limits;
        if (name === "features" && storage === "f32") return new Set();
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
  try {
    return await Gpu.open();
  } finally {
    gpu.requestAdapter = request;
  }
}

/** The weights' type, and that of activations: f32 where there is no shader-f16. */
const cases = [["f16", "f16"], ["q4", "f16"], ["q4", "f32"]] as const;

for (const [weights, storage] of cases) {
  gpuTest(
    `browser limits: Stable Diffusion 1.5 in ${weights}, computed in ${storage}, fits Chrome, Firefox and Safari`,
    async () => {
      using gpu = await openLimited(storage);
      for (const [name, limit] of Object.entries(limits)) {
        assertEquals(Reflect.get(gpu.device.limits, name), limit);
      }
      assertEquals(gpu.device.features.has("shader-f16"), storage === "f16");
      const parts = fullSizeComponents(weights);
      const runShape = { images: 1, height: 64, width: 64, guided: true };
      using handed = await handedOver(gpu, storage, parts, runShape);
      const graphs = imageGraphs(storage, parts, runShape);
      for (const [title, way] of Object.entries(ways)) {
        for (const [name, graph] of Object.entries(graphs)) {
          const bytes = await plannedBytes(gpu, graph, handed, way);
          assert(bytes < 3e9, `${name} takes ${bytes} bytes ${title}`);
        }
      }
      gpu.check();
    },
  );
}
