/**
 * Stable Diffusion 1.5 at full size, planned and not run: what it takes of the
 * GPU's memory, and that every size of image fits an adapter's limits.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { texelShape } from "../src/gpu/texels.ts";
import type { Graph } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import type {
  StoredParameter,
  WeightStore,
} from "../src/graph/weight_store.ts";
import { Handover } from "../src/generate/handover.ts";
import { handoverSpecs } from "../src/generate/run_shape.ts";
import { ddimSampler } from "../src/samplers/ddim.ts";
import { identityGraph, parserGraph } from "../src/identity/identity.ts";
import { heldBytes } from "../src/ops/weights/layouts.ts";
import { checkSettings } from "../src/options/options.ts";
import {
  conditionGraph,
  decodeGraph,
  type RunShape,
  stepGraph,
} from "../src/generate/generator.ts";
import { fullSizeComponents } from "./support/full_size.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

/** WebGPU's default, and all that lavapipe has. */
const BINDING_LIMIT = 128 * 2 ** 20;

/** What an adapter may choose of the kernels an op has, the best first. */
const ways: Readonly<Record<string, readonly string[]>> = {
  "on a CPU": ["winograd", "texture-backed", "baseline"],
  "on a GPU": ["workgroup-tiled", "baseline"],
};

/** Stands for the parameters of a network: one buffer as long as the longest, one small texture. */
function anyParameters(
  gpu: Gpu,
  sizes: readonly number[],
): Disposable & { readonly store: WeightStore } {
  const buffer = gpu.buffers.make(
    Math.max(...sizes),
    GPUBufferUsage.STORAGE,
    "weights",
  );
  const texture = gpu.buffers.makeTexture(texelShape(1), "weights");
  const find = ({ ref: { shape }, dtype, layout }: StoredParameter) =>
    layout === "rows"
      ? { buffer, offset: 0, size: heldBytes({ shape, dtype }, layout) }
      : { texture, view: texture.createView() };
  return {
    store: { find } as unknown as WeightStore,
    [Symbol.dispose]() {
      gpu.buffers.free(buffer);
      gpu.buffers.free(texture);
    },
  };
}

/** Plans a graph as the pipeline does. Returns the bytes it would take. */
async function plannedBytes(
  gpu: Gpu,
  g: Graph,
  handed: Handover,
  way: readonly string[],
): Promise<number> {
  const limits = { ...gpu.limits, maxStorageBufferBindingSize: BINDING_LIMIT };
  const kernels = new KernelChoice(
    g,
    (_node, has) => way.find((one) => has.includes(one))!,
  );
  const sizes = kernels.parameters.map(({ ref: { shape }, dtype, layout }) =>
    heldBytes({ shape, dtype }, layout)
  );
  using weights = anyParameters(gpu, sizes);
  const before = gpu.buffers.bytes;
  using _plan = await Plan.make(gpu, g, {
    weights: [weights.store],
    bindings: g.outputs.has("pixels") ? {} : handed.bindings,
    limits,
    kernels,
  });
  const own = gpu.buffers.bytes - before;
  return sizes.reduce((sum, bytes) => sum + bytes, own);
}

/** Every network of an image, by name. */
function graphs(
  parts: ReturnType<typeof fullSizeComponents>,
  runShape: RunShape,
) {
  const { crossAttentionDim: channels } = parts.unet.config;
  return {
    parser: parserGraph(parts),
    encoder: identityGraph("f16", { ...parts, channels }),
    condition: conditionGraph("f16", parts, runShape),
    step: stepGraph("f16", parts, runShape),
    decode: decodeGraph("f16", parts, runShape),
  };
}

/** What the stages of an image hand to each other. */
async function handedOver(
  gpu: Gpu,
  parts: ReturnType<typeof fullSizeComponents>,
  runShape: RunShape,
): Promise<Handover> {
  const sampler = ddimSampler(parts.unet.config.scheduler);
  const specs = handoverSpecs("f16", parts, runShape, sampler);
  return await Handover.make(gpu, specs);
}

/** Limits of issue 5, of 512×512, one image, guidance on; in bytes. */
const budgets = [["f16", 2.3e9], ["q8", 1.5e9], ["q4", 1.1e9]] as const;

for (const [dtype, most] of budgets) {
  gpuTest(
    `full size, ${dtype}: 512×512 takes at most ${most / 1e9} GB of the GPU`,
    async () => {
      const gpu = await sharedGpu();
      const parts = fullSizeComponents(dtype);
      const runShape = { images: 1, height: 64, width: 64, guided: true };
      const all = graphs(parts, runShape);
      const before = gpu.buffers.bytes;
      using handed = await handedOver(gpu, parts, runShape);
      const kept = gpu.buffers.bytes - before;
      const cases = Object.entries(ways).flatMap(([title, way]) =>
        Object.entries(all).map(([name, g]) => ({ name, g, title, way }))
      );
      for (const { name, g, title, way } of cases) {
        const bytes = kept + await plannedBytes(gpu, g, handed, way);
        assert(bytes <= most, `${name} takes ${bytes} bytes ${title}`);
        // Its 860 million weights are among them.
        const perWeight = { f16: 2, q8: 1, q4: 0.5 }[dtype];
        if (name === "step") assert(bytes > 8.2e8 * perWeight, `${bytes}`);
      }
      assertEquals(gpu.buffers.bytes - before, kept);
    },
  );
}

/** Columns and rows: the corners of what is allowed, and odd levels in the UNet. */
const sizes = [
  [256, 256],
  [264, 1016],
  [1024, 256],
  [776, 520],
  [1024, 1024],
] as const;

for (const [width, height] of sizes) {
  gpuTest(
    `full size: ${width}×${height} fits bindings of 128 MiB`,
    async () => {
      const gpu = await sharedGpu();
      const parts = fullSizeComponents("q4");
      const runShape = {
        images: 1,
        height: height / 8,
        width: width / 8,
        guided: true,
      };
      const { step, decode } = graphs(parts, runShape);
      using handed = await handedOver(gpu, parts, runShape);
      for (const way of Object.values(ways)) {
        for (const g of [step, decode]) {
          const bytes = await plannedBytes(gpu, g, handed, way);
          assert(bytes < 2.1e9, `${bytes} bytes`);
        }
      }
      const { shape } = decode.outputs.get("pixels")!;
      assertEquals(shape, [1, height, width]);
    },
  );
}

Deno.test("full size: sides are the multiples of 8 from 64 to 2048", () => {
  const rule = { own: 512, multiple: 8 };
  const check = (side: number) =>
    checkSettings({ prompt: "", width: side, height: side }, rule);
  for (let side = 64; side <= 2048; side += 8) {
    assertEquals(check(side).width, side);
  }
  assertEquals(checkSettings({ prompt: "" }, rule).height, 512);
  for (const side of [56, 260, 1023, 2056, 512.5]) {
    assertThrows(() => check(side), MasterWeaverError, `got ${side}`);
  }
});
