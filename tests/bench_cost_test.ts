/**
 * What a step costs: counted, planned, and asked of the device.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { type UNetConfig, unetConfig } from "../src/models/unet.ts";
import { stepGraph } from "../src/generate/generator.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { CallCounter } from "../tools/bench/call_counter.ts";
import {
  countDispatches,
  graphFlops,
  planBytes,
  ROOMY,
  sumBy,
} from "../tools/bench/cost.ts";
import {
  type ModelSizes,
  runShapeOf,
  SD15,
  sizesOf,
  syntheticModel,
} from "../tools/bench/synthetic.ts";
import {
  dispatchTime,
  GPU_CLASSES,
  predict,
} from "../tools/bench/analytical_model.ts";
import { adapterKernels } from "../tools/bench/plans.ts";
import { benchScaling, scalingTasks } from "../tools/bench/scaling.ts";
import {
  makeStep,
  planStep,
  profileRows,
  profileStep,
} from "../tools/bench/step.ts";
import { benchTrain } from "../tools/bench/train.ts";
import { type Row, tableText } from "../tools/bench/table.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniComponents, repositoryPath } from "./support/model.ts";

/** A row's figure. */
function valueOf({ figures }: Row, name: string) {
  return figures.find((figure) => figure.name === name)?.value;
}

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
    const parts = syntheticModel(sizes, "f32");
    const runShape = runShapeOf(parts, size, batch);
    const graph = stepGraph("f32", parts, runShape);
    const costs = countDispatches(new KernelChoice(graph));
    const counted = costs.reduce((sum, { flops }) => sum + flops, 0);
    assertEquals(counted, graphFlops(graph));
    const { positions } = parts.text.config;
    const { tokens, maxReferences } = parts.adapter.config;
    const { height, width } = runShape;
    const keys = positions + tokens * maxReferences;
    const one = unetFlops(unetConfig(sizes.configs.unet), height, width, keys);
    // Guidance: with the prompt and without.
    assertEquals(counted, 2 * batch * one, `${sizes.name} ${size}`);
  }
});

Deno.test("cost: SD1.5 at 512×512, by kind of op", () => {
  const task = { sizes: SD15, dtype: "f16", weights: "f16", batch: 1 } as const;
  const [costs, ...classes] = predict(task, GPU_CLASSES);
  const kinds = new Map(costs.rows.map((row) => [row.labels[0], row]));
  const kind = (name: string, value: string) =>
    Number(valueOf(kinds.get(name)!, value));
  // One of each a transformer.
  assertEquals(kind("self-attention", "dispatches"), 16);
  assertEquals(kind("cross-attention", "dispatches"), 16);
  assert(Math.abs(kind("conv2d 3×3", "operations") / 801 - 1) < 0.01);
  // 859 million weights of the UNet, less the keys and values of the text,
  // which are computed once an image.
  const { graph } = planStep(task);
  const { weights } = planBytes(graph, new KernelChoice(graph), ROOMY);
  const parameters = weights / 2;
  assert(parameters > 8.3e8 && parameters < 8.6e8, `${parameters}`);
  assertEquals(classes.map(({ subject }) => subject.split(", ")[0]), [
    "integrated",
    "mid-range",
    "high-end",
  ]);
  for (const { rows } of classes) {
    const stages = rows.findIndex(({ labels }) => labels[0] === "step");
    const kinds = rows.slice(0, stages);
    const sum = (name: string) =>
      kinds.reduce((sum, row) => sum + Number(valueOf(row, name)), 0);
    const step = Number(valueOf(rows[stages], "time"));
    assert(Math.abs(sum("share") - 1) < 1e-9);
    assert(Math.abs(sum("time") / step - 1) < 1e-9);
    assertEquals(kinds[0].labels, ["conv2d 3×3"]);
    const times = kinds.map((row) => Number(valueOf(row, "time")));
    assertEquals(times, times.toSorted((a, b) => b - a));
    const [condition, decode, image] = rows.slice(stages + 1)
      .map((row) => Number(valueOf(row, "time")));
    assertEquals(image, 30 * step + condition + decode);
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
  const task = { sizes: SD15, dtype: "f16", batch: 1 } as const;
  const count = (weights: "f16" | "q4") => {
    const { graph } = planStep({ ...task, weights });
    const memory = planBytes(graph, new KernelChoice(graph), ROOMY);
    return { ...memory, flops: graphFlops(graph) };
  };
  const [half, quarter] = [count("f16"), count("q4")];
  assert(quarter.weights < 0.3 * half.weights);
  assertEquals(quarter.flops, half.flops);
  assertEquals(quarter.arenas, half.arenas);
  const tables = predict({ ...task, weights: "q4" }, []);
  assertEquals(tables.length, 1);
  assert(
    tables[0].subject.startsWith("SD1.5, 512×512, 1 at once, guidance on"),
  );
  assertThrows(
    () => predict({ ...task, weights: "f16", size: [500, 512] }, []),
    MasterWeaverError,
    "Sides must be multiples of 8 for this model, got 500×512",
  );
});

Deno.test("cost: synthetic weights are those of the file", async () => {
  const synthetic = syntheticModel(mini, "f16");
  const converted = await miniComponents;
  for (const name of Object.keys(converted) as (keyof typeof converted)[]) {
    const { tensors } = synthetic[name].file;
    const { file } = converted[name];
    for (const [path, { dtype, shape }] of file.tensors) {
      const tensor = tensors.get(path);
      assertEquals([tensor?.dtype, tensor?.shape], [dtype, shape], path);
    }
    assertEquals(tensors.size, file.tensors.size);
  }
  const [tensor] = synthetic.unet.file.tensors.values();
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
  const table = await benchScaling(task, "f16", undefined);
  const { rows } = table;
  assertEquals(rows.map(({ labels: [series] }) => series), [
    "size",
    "size",
    "batch",
    "batch",
    "weights",
    "weights",
  ]);
  const perPixel = (i: number) => Number(valueOf(rows[i], "a pixel"));
  for (const i of [0, 2, 4]) assertEquals(perPixel(i), 1);
  // Twice the images is twice the work, to the operation.
  assertEquals(perPixel(3), 1);
  assert(perPixel(1) > 1 && perPixel(1) < 1.1);
  const memory = (i: number) => Number(valueOf(rows[i], "memory"));
  assert(memory(5) < memory(4) / 3);
  const text = tableText(table);
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
    const { graph } = planStep(task);
    const memory = planBytes(graph, adapterKernels(gpu, graph), gpu.limits);
    assertEquals(memory.arenas, plan.statistics.arenaBytes);
    const all = memory.weights + memory.arenas + memory.inputs;
    const held = gpu.buffers.bytes - before;
    // What is not counted: uniforms and a table.
    assert(all <= held && all > 0.98 * held, `${all} of ${held}`);
  },
);

gpuTest(
  "cost: a step allocates nothing, reads nothing back, and a counter sees who does",
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
      using counter = new CallCounter();
      for (let i = 0; i < 3; i++) step.run();
      await gpu.idle();
      const dispatches = 3 * step.plan.statistics.dispatches;
      assertEquals(counter.calls, { dispatches, allocations: 0, readbacks: 0 });
      // A reading makes a buffer and maps it.
      await step.plan.read("latents");
      assertEquals(counter.calls, { dispatches, allocations: 1, readbacks: 1 });
    }
    using after = new CallCounter();
    assertEquals(after.calls.dispatches, 0);
  },
);

gpuTest("step: its profile adds up", async () => {
  const gpu = await sharedGpu();
  if (!gpu.hasTimestamps) return;
  const task = { sizes: tiny, dtype: "f32", weights: "f32", batch: 1 } as const;
  const roofline = { gflops: 50, gigabytes: 2 };
  const [kinds, whole] = await profileStep(gpu, task, roofline);
  const sum = (name: string) =>
    kinds.rows.reduce((sum, row) => sum + Number(valueOf(row, name)), 0);
  assert(Math.abs(sum("share") - 1) < 1e-9);
  const byName = new Map(whole.rows.map((row) => [row.labels[0], row]));
  assert(Number(valueOf(byName.get("as a whole")!, "")) > 0);
  const alone = byName.get("all dispatches, each by itself")!;
  assert(Math.abs(sum("time") / Number(valueOf(alone, "")) - 1) < 1e-9);
  assertEquals(whole.notes, [
    `a step: ${sum("dispatches")} dispatches, 0 allocations, 0 readbacks`,
  ]);
  assert(kinds.notes![0].startsWith("slowest large convolution"));
});

Deno.test("step: dispatches are added up by kind and shader", () => {
  const cost = (
    kind: string,
    shader: string,
    flops: number,
    bytes: number,
    time: number,
  ) => ({
    kind,
    shader,
    op: 0,
    shape: "",
    flops,
    bytes,
    time,
    dispatches: 1,
    groups: 2,
  });
  const costs = [
    cost("conv", "a", 2e6, 1e3, 1),
    cost("norm", "b", 0, 4e6, 4),
    cost("conv", "a", 6e6, 1e3, 3),
    cost("conv", "c", 1e6, 1e3, 2),
  ];
  const rows = profileRows(costs);
  assertEquals(
    rows.map((row) => [
      ...row.labels,
      ...["shader", "time", "share", "speed"].map((name) => valueOf(row, name)),
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

gpuTest(
  "bench: training is timed by kind of step, and its memory counted",
  async () => {
    const gpu = await sharedGpu();
    const sizes = await sizesOf(repositoryPath("weights/mini"));
    const task = {
      sizes,
      dtype: "f32",
      batch: 1,
      size: [32, 32],
      rounds: 1,
      pytorch: 10,
    } as const;
    const [steps, memory] = await benchTrain(task, gpu);
    assertEquals(steps.rows.map(({ labels }) => labels.join(" ")), [
      "stage 1 plain",
      "stage 2 edit",
      "stage 2 plain",
    ]);
    for (const row of steps.rows) {
      const milliseconds = Number(valueOf(row, "time"));
      assert(milliseconds > 0);
      const rate = Number(valueOf(row, "steps a second"));
      assert(Math.abs(rate * milliseconds / 1000 - 1) < 1e-9);
      const parts = ["towers", "forward", "backward", "optimiser", "data"];
      const shares = parts.map((part) => Number(valueOf(row, part)));
      const sum = shares.reduce((sum, share) => sum + share, 0);
      assert(Math.abs(sum - 1) < 1e-6, `${shares}`);
      assert(shares.every((share) => share >= 0), `${shares}`);
    }
    const [first] = steps.rows;
    const ratio = Number(valueOf(first, "of PyTorch's time"));
    assert(Math.abs(1e4 * ratio / Number(valueOf(first, "time")) - 1) < 1e-9);
    assertEquals(memory.rows.map(({ labels }) => labels[1]), [
      ...["none", "block", "level"],
      ...["none", "block", "level"],
    ]);
    const [planned] = await benchTrain(task, undefined);
    assertEquals(planned.section, "training memory");
  },
);
