/**
 * Stable Diffusion 1.5 at full size under the limits that a browser's adapter has
 * at least, planned and not run: buffers, bindings, pipelines and bind groups are
 * made on a device that allows no more.
 */
import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../src/gpu/gpu.ts";
import { fullSizeComponents } from "./support/full_size.ts";
import {
  fullSizeGraphs,
  handedOver,
  plannedBytes,
  ways,
} from "./support/full_size_plans.ts";
import { gpuTest } from "./support/gpu.ts";

/** WebGPU's defaults, which every adapter has. */
const defaults = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  maxComputeWorkgroupsPerDimension: 65535,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupStorageSize: 16 * 1024,
  maxStorageBuffersPerShaderStage: 8,
};

/** Least of each browser: what its weakest adapters offer. */
const browsers = {
  Chrome: { ...defaults, maxStorageBuffersPerShaderStage: 10 },
  Firefox: defaults,
  Safari: defaults,
};

/** A device with no more than some limits. */
async function openWith(
  limits: Readonly<Record<string, number>>,
): Promise<Gpu> {
  const { gpu } = navigator;
  const request = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (options) => {
    const adapter = (await request(options))!;
    return new Proxy(adapter, {
      get(target, name) {
        if (name === "limits") return limits;
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

for (const [browser, limits] of Object.entries(browsers)) {
  for (const [weights, storage] of cases) {
    gpuTest(
      `browser limits: Stable Diffusion 1.5 in ${weights}, computed in ${storage}, fits ${browser}`,
      async () => {
        using gpu = await openWith(limits);
        for (const [name, limit] of Object.entries(limits)) {
          assertEquals(Reflect.get(gpu.device.limits, name), limit);
        }
        const parts = fullSizeComponents(weights);
        const runShape = { images: 1, height: 64, width: 64, guided: true };
        using handed = await handedOver(gpu, storage, parts, runShape);
        const graphs = fullSizeGraphs(storage, parts, runShape);
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
}
