/**
 * What a step costs: counted on paper, planned, and asked of the device.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { type UNetConfig, unetConfig } from "../src/models/unet.ts";
import { stepGraph } from "../src/generate/generator.ts";
import { Census } from "../tools/bench/census.ts";
import { countDispatches, countMemory, sumBy } from "../tools/bench/cost.ts";
import {
  inventParts,
  type ModelSizes,
  SD15,
  sizesOf,
} from "../tools/bench/invented.ts";
import {
  dispatchTime,
  GPU_CLASSES,
  layoutOf,
  paperLines,
  predict,
} from "../tools/bench/paper.ts";
import {
  benchScaling,
  scalingLines,
  scalingTasks,
} from "../tools/bench/scaling.ts";
import {
  makeStep,
  profileKinds,
  profileLines,
  profileStep,
} from "../tools/bench/step.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { Tuner } from "../src/graph/tuner.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { miniComponents, repositoryPath } from "./support/model.ts";

const mini = await sizesOf(repositoryPath("weights/mini"));

/** A network of two levels, of which only the second has attention. */
const tiny: ModelSizes = {
  name: "tiny",
  configs: {
    ...mini.configs,
    unet: {
      ...mini.configs.unet,
      sample_size: 10,
      block_out_channels: [32, 64],
      down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
      up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"],
      layers_per_block: 1,
      attention_head_dim: 2,
      norm_num_groups: 8,
    },
  },
};

/**
 * Operations of the UNet's products for one image, from the paper's drawing
 * and not from the graph.
 */
function unetFlops(
  config: UNetConfig,
  height: number,
  width: number,
  keys: number,
): number {
  const { blockOutChannels, layersPerBlock, channels } = config;
  const last = blockOutChannels.length - 1;
  const embedding = 4 * blockOutChannels[0];
  let [h, w] = [height, width];
  let flops = 2 * blockOutChannels[0] * embedding + 2 * embedding ** 2;
  const conv = (from: number, to: number, kernel = 3) => {
    flops += 2 * h * w * from * to * kernel ** 2;
  };
  const resnet = (from: number, to: number) => {
    conv(from, to);
    conv(to, to);
    if (from !== to) conv(from, to, 1);
    flops += 2 * embedding * to;
  };
  const transformer = (c: number) => {
    const tokens = h * w;
    // In and out; q, k, v, out; q, out of the text's; both of the GEGLU.
    flops += 2 * tokens * c * c * (2 + 4 + 2 + 8 + 4);
    flops += 4 * tokens * c * (tokens + keys);
  };
  conv(channels, blockOutChannels[0]);
  const skips = [blockOutChannels[0]];
  const sizes = [[h, w]];
  let from = blockOutChannels[0];
  blockOutChannels.forEach((to, level) => {
    for (let i = 0; i < layersPerBlock; i++) {
      resnet(from, to);
      if (config.downAttention[level]) transformer(to);
      from = to;
      skips.push(to);
    }
    if (level === last) return;
    [h, w] = [Math.ceil(h / 2), Math.ceil(w / 2)];
    conv(to, to);
    skips.push(to);
    sizes.push([h, w]);
  });
  resnet(from, from);
  transformer(from);
  resnet(from, from);
  for (let level = last; level >= 0; level--) {
    const to = blockOutChannels[level];
    for (let i = 0; i <= layersPerBlock; i++) {
      resnet(from + skips.pop()!, to);
      if (config.upAttention[last - level]) transformer(to);
      from = to;
    }
    if (level === 0) break;
    [h, w] = sizes[level - 1];
    conv(to, to);
  }
  conv(from, channels);
  return flops;
}

Deno.test("cost: a step's operations are those of the drawing", () => {
  const cases: [ModelSizes, [number, number] | undefined, number][] = [
    [tiny, undefined, 1],
    [tiny, [52, 28], 2],
    [mini, undefined, 1],
    [SD15, undefined, 1],
  ];
  for (const [sizes, size, batch] of cases) {
    const parts = inventParts(sizes, "f32");
    const layout = layoutOf(parts, size, batch);
    const costs = countDispatches(stepGraph("f32", parts, layout));
    const counted = costs.reduce((sum, { flops }) => sum + flops, 0);
    const { positions } = parts.text.config;
    const { tokens, maxReferences } = parts.adapter.config;
    const { height, width } = layout;
    const keys = positions + tokens * maxReferences;
    const one = unetFlops(unetConfig(sizes.configs.unet), height, width, keys);
    // Guidance: with the prompt and without.
    assertEquals(counted, 2 * batch * one, `${sizes.name} ${size}`);
  }
});

Deno.test("cost: SD1.5 at 512×512, by kind of op", () => {
  const { step, memory, classes } = predict({
    sizes: SD15,
    dtype: "f16",
    weights: "f16",
    batch: 1,
    gpus: GPU_CLASSES,
  });
  const kinds = Object.fromEntries(step.map((kind) => [kind.name, kind]));
  // One of each a transformer.
  assertEquals(kinds["self-attention"].dispatches, 16);
  assertEquals(kinds["cross-attention"].dispatches, 16);
  assert(Math.abs(kinds["conv2d 3×3"].flops / 801e9 - 1) < 0.01);
  // 859 million weights of the UNet, less the keys and values of the text,
  // which are computed once an image.
  const parameters = memory.weights / 2;
  assert(parameters > 8.3e8 && parameters < 8.6e8, `${parameters}`);
  assertEquals(classes.map(({ name }) => name), [
    "integrated",
    "mid-range",
    "high-end",
  ]);
  for (const { step, kinds } of classes) {
    const shares = kinds.reduce((sum, { share }) => sum + share, 0);
    const times = kinds.reduce((sum, each) => sum + each.milliseconds, 0);
    assert(Math.abs(shares - 1) < 1e-9 && Math.abs(times / step - 1) < 1e-9);
    assertEquals(kinds[0].name, "conv2d 3×3");
    for (let i = 1; i < kinds.length; i++) {
      assert(kinds[i - 1].milliseconds >= kinds[i].milliseconds);
    }
  }
});

Deno.test("cost: a dispatch takes the longer of arithmetic and memory, and its launch", () => {
  const gpu = { ...GPU_CLASSES[0], gflops: 1000, gigabytes: 100, launch: 5 };
  const time = (flops: number, bytes: number) =>
    dispatchTime(gpu, { flops, bytes });
  assertEquals(time(1e9, 1e6), { milliseconds: 1.005, bound: "arithmetic" });
  assertEquals(time(1e9, 2e8), { milliseconds: 2.005, bound: "memory" });
  assertEquals(time(0, 100).bound, "launches");
});

Deno.test("cost: quantised weights are fewer bytes and no fewer operations", () => {
  const task = { sizes: SD15, dtype: "f16", batch: 1, gpus: [] } as const;
  const half = predict({ ...task, weights: "f16" });
  const quarter = predict({ ...task, weights: "q4" });
  assert(quarter.memory.weights < 0.3 * half.memory.weights);
  const flops = ({ step }: typeof half) =>
    step.reduce((sum, kind) => sum + kind.flops, 0);
  assertEquals(flops(quarter), flops(half));
  assertEquals(quarter.memory.arenas, half.memory.arenas);
  const text = paperLines(quarter).join("\n");
  assert(text.includes("a step of SD1.5, 512×512, 1 at once, guidance on"));
  assertThrows(
    () => predict({ ...task, weights: "f16", size: [500, 512] }),
    MasterWeaverError,
    "Sides must be multiples of 8 for this model, got 500×512",
  );
});

Deno.test("cost: weights that are made up are those of the file", async () => {
  const { unet } = inventParts(mini, "f16");
  const { file } = (await miniComponents).unet;
  for (const [name, { shape }] of unet.file.tensors) {
    assertEquals(file.tensors.get(name)?.shape, shape, name);
  }
  assertEquals(unet.file.tensors.size, file.tensors.size);
  const [tensor] = unet.file.tensors.values();
  let bytes = 0;
  for await (const chunk of tensor.chunks()) bytes += chunk.byteLength;
  assertEquals(bytes, tensor.bytes);
});

Deno.test("scaling: each series has its own first, memory is planned without a GPU", async () => {
  const task = {
    sizes: mini,
    sides: [64, 128],
    batches: [1, 2],
    weights: ["f32", "q4"],
  } as const;
  assertEquals(scalingTasks(task, "f16").map(({ dtype }) => dtype), [
    "f16",
    "f16",
    "f16",
    "f16",
    "f32",
    "f16",
  ]);
  const rows = await benchScaling(task, "f16", undefined);
  assertEquals(rows.map(({ series }) => series), [
    "size",
    "size",
    "batch",
    "batch",
    "weights",
    "weights",
  ]);
  for (const i of [0, 2, 4]) assertEquals(rows[i].perPixel, 1);
  // Twice the images is twice the work, to the operation.
  assertEquals(rows[3].perPixel, 1);
  assert(rows[1].perPixel > 1 && rows[1].perPixel < 1.1);
  assert(rows[5].peakGpuBytes < rows[4].peakGpuBytes / 3);
  const text = scalingLines(rows).join("\n");
  assert(text.includes("planned and not run") && !text.includes("ms"), text);
});

gpuTest(
  "cost: what is counted is what the plan has, dispatch by dispatch",
  async () => {
    const gpu = await sharedGpu();
    const task = {
      sizes: mini,
      dtype: "f32",
      weights: "f32",
      batch: 1,
    } as const;
    const before = gpu.buffers.bytes;
    await using step = await makeStep(gpu, task);
    const { plan, costs } = step;
    assertEquals(
      plan.listing.map(({ shader }) => shader),
      costs.map(({ shader }) => shader),
    );
    const parts = inventParts(mini, "f32");
    const graph = stepGraph("f32", parts, layoutOf(parts, undefined, 1));
    const kernels = new KernelChoice(graph, new Tuner(gpu).choose);
    const memory = countMemory(graph, gpu.limits, kernels);
    assertEquals(memory.arenas, plan.statistics.arenaBytes);
    const all = memory.weights + memory.arenas + memory.inputs;
    const held = gpu.buffers.bytes - before;
    // What is not counted: uniforms and a table.
    assert(all <= held && all > 0.98 * held, `${all} of ${held}`);
  },
);

gpuTest(
  "cost: a step allocates nothing, reads nothing back, and a census sees who does",
  async () => {
    const gpu = await sharedGpu();
    const task = {
      sizes: tiny,
      dtype: "f32",
      weights: "f32",
      batch: 1,
    } as const;
    await using step = await makeStep(gpu, task);
    step.run();
    await gpu.idle();
    {
      using census = new Census();
      for (let i = 0; i < 3; i++) step.run();
      await gpu.idle();
      const dispatches = 3 * step.plan.statistics.dispatches;
      assertEquals(census.calls, { dispatches, allocations: 0, readbacks: 0 });
      // A reading makes a buffer and maps it.
      await step.plan.read("latents");
      assertEquals(census.calls, { dispatches, allocations: 1, readbacks: 1 });
    }
    using after = new Census();
    assertEquals(after.dispatches, 0);
  },
);

gpuTest("step: its profile adds up", async () => {
  const gpu = await sharedGpu();
  if (!gpu.hasTimestamps) return;
  const task = { sizes: tiny, dtype: "f32", weights: "f32", batch: 1 } as const;
  const profile = await profileStep(gpu, task, { gflops: 50, gigabytes: 2 });
  const { kinds, calls, milliseconds } = profile;
  assert(milliseconds > 0);
  const dispatches = kinds.reduce((sum, each) => sum + each.dispatches, 0);
  assertEquals(calls, { dispatches, allocations: 0, readbacks: 0 });
  assert(Math.abs(kinds.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
  const text = profileLines(profile).join("\n");
  assert(text.includes("0 allocations, 0 readbacks"), text);
  assert(text.includes("slowest big convolution"), text);
});

Deno.test("step: dispatches are added up by kind and shader", () => {
  const cost = (
    kind: string,
    shader: string,
    flops: number,
    bytes: number,
  ) => ({
    kind,
    shader,
    op: 0,
    shape: "",
    flops,
    bytes,
    weightBytes: 0,
    groups: 2,
  });
  const costs = [
    cost("conv", "a", 2e6, 1e3),
    cost("norm", "b", 0, 4e6),
    cost("conv", "a", 6e6, 1e3),
    cost("conv", "c", 1e6, 1e3),
  ];
  const kinds = profileKinds(costs, [1, 4, 3, 2]);
  assertEquals(
    kinds.map(({ name, shader, milliseconds, share, gflops }) => [
      name,
      shader,
      milliseconds,
      share,
      gflops,
    ]),
    [
      ["conv", "a", 4, 0.4, 2],
      ["norm", "b", 4, 0.4, undefined],
      ["conv", "c", 2, 0.2, 0.5],
    ],
  );
  const [conv, norm] = sumBy(costs, ({ kind }) => kind);
  assertEquals([conv.dispatches, conv.groups, conv.flops], [3, 6, 9e6]);
  assertEquals([norm.dispatches, norm.bytes], [1, 4e6]);
});
