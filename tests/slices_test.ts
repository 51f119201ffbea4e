/**
 * Tensors longer than a binding may be: ops that are cut into several launches
 * give what they give in one, bit for bit.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { GpuLimits, StorageType } from "../src/gpu/gpu.ts";
import { type AnyOp, Graph, type Tensor } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { attention } from "../src/ops/attention/attention.ts";
import { conv2d } from "../src/ops/conv2d/conv2d.ts";
import { geglu } from "../src/ops/geglu.ts";
import { embedding } from "../src/ops/embedding.ts";
import { groupNorm } from "../src/ops/group_norm.ts";
import { attentionGradient } from "../src/ops/gradients/attention_gradient.ts";
import { embeddingGradient } from "../src/ops/gradients/embedding_gradient.ts";
import { gegluGradient } from "../src/ops/gradients/geglu_gradient.ts";
import { groupNormGradient } from "../src/ops/gradients/group_norm_gradient.ts";
import { layerNormGradient } from "../src/ops/gradients/layer_norm_gradient.ts";
import { mapGradient } from "../src/ops/gradients/map_gradient.ts";
import { viewGradient } from "../src/ops/gradients/view_gradient.ts";
import { weightGradient } from "../src/ops/gradients/weight_gradient.ts";
import { layerNorm } from "../src/ops/layer_norm.ts";
import { linear } from "../src/ops/linear/linear.ts";
import { elementCount } from "../src/ops/op.ts";
import { shiftedSlice, splitRows } from "../src/ops/slices.ts";
import { concat } from "../src/ops/concat.ts";
import { sum } from "../src/ops/sum.ts";
import { makeInput, normal } from "./ops/op_case.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

interface Cut {
  readonly name: string;
  readonly op: AnyOp;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly attributes?: unknown;
  /** KiB that a binding may have, of f32. */
  readonly kilobytes: number;
  /** Fewest launches that must come of it. */
  readonly launches: number;
  /** Which kernel computes it; what runs everywhere where not given. */
  readonly kernel?: string;
}

const cuts: readonly Cut[] = [
  {
    name: "rows and a residual",
    op: linear,
    inputs: {
      x: [3, 333, 36],
      weight: [20, 36],
      bias: [20],
      residual: [3, 333, 20],
    },
    kilobytes: 40,
    launches: 4,
  },
  {
    name: "rows, as texels",
    op: linear,
    inputs: {
      x: [3, 333, 40],
      weight: [24, 40],
      bias: [24],
      residual: [3, 333, 24],
    },
    kilobytes: 40,
    launches: 8,
    kernel: "texture-backed",
  },
  {
    name: "rows of a image and their neighbours, as texels",
    op: conv2d,
    inputs: { x: [2, 21, 30, 16], weight: [24, 3, 3, 16], bias: [24] },
    attributes: { padding: [1, 1, 1, 1] },
    kilobytes: 40,
    launches: 6,
    kernel: "texture-backed",
  },
  {
    name: "rows",
    op: layerNorm,
    inputs: { x: [5, 201, 24], weight: [24], bias: [24] },
    attributes: { eps: 1e-5 },
    kilobytes: 30,
    launches: 4,
  },
  {
    name: "rows, one of x twice as long",
    op: geglu,
    inputs: { x: [2, 300, 40] },
    kilobytes: 25,
    launches: 5,
  },
  {
    name: "channels of images",
    op: concat,
    inputs: { a: [2, 17, 19, 12], b: [2, 17, 19, 20] },
    attributes: { axis: 3 },
    kilobytes: 20,
    launches: 5,
  },
  {
    name: "a table",
    op: embedding,
    inputs: { ids: [2, 40], table: [1000, 16], positions: [40, 16] },
    kilobytes: 17,
    launches: 4,
  },
  {
    name: "slices that begin in the midst of a image",
    op: groupNorm,
    inputs: { x: [3, 37, 29, 16], weight: [16], bias: [16] },
    attributes: { groups: 4, eps: 1e-5, activation: "silu" },
    kilobytes: 40,
    launches: 8,
  },
  {
    name: "slices that begin in the midst of an image, all gradients",
    op: groupNormGradient,
    inputs: {
      x: [3, 37, 29, 16],
      weight: [16],
      bias: [16],
      gradient: [3, 37, 29, 16],
    },
    attributes: { groups: 4, eps: 1e-5, activation: "silu", affine: true },
    kilobytes: 40,
    launches: 17,
  },
  {
    name: "partial sums of rows that begin within a slice, all gradients",
    op: layerNormGradient,
    inputs: { x: [3, 607, 24], weight: [24], gradient: [3, 607, 24] },
    attributes: { eps: 1e-5, affine: true },
    kilobytes: 40,
    launches: 13,
  },
  {
    name: "a table, cleared and added up by slices",
    op: embeddingGradient,
    inputs: { ids: [2, 60], gradient: [2, 60, 12] },
    attributes: { vocabulary: 1001 },
    kilobytes: 20,
    launches: 7,
  },
  {
    name: "rows, one of x twice as long",
    op: gegluGradient,
    inputs: { x: [2, 300, 40], gradient: [2, 300, 20] },
    kilobytes: 25,
    launches: 5,
  },
  {
    name: "the first axes, as a bias needs it",
    op: sum,
    inputs: { x: [3, 37, 29, 12] },
    attributes: { axes: [0, 3] },
    kilobytes: 40,
    launches: 5,
  },
  {
    name: "the middle axes, partial sums that begin within a slice",
    op: sum,
    inputs: { x: [3, 607, 20] },
    attributes: { axes: [1, 2], scale: 0.5 },
    kilobytes: 40,
    launches: 5,
  },
  {
    name: "few terms of many",
    op: sum,
    inputs: { x: [700, 3, 12] },
    attributes: { axes: [1, 2] },
    kilobytes: 40,
    launches: 3,
  },
  {
    name: "rows of a linear layer",
    op: weightGradient,
    inputs: { x: [3, 607, 12], gradient: [3, 607, 8] },
    attributes: { weight: [6, 12] },
    kilobytes: 40,
    launches: 4,
  },
  {
    name: "images and the rows around a slice",
    op: weightGradient,
    inputs: { x: [3, 31, 23, 12], gradient: [3, 31, 23, 4] },
    attributes: { weight: [3, 3, 1, 12], padding: [1, 0, 1, 0] },
    kilobytes: 33,
    launches: 6,
  },
  {
    name: "steps of two, zeros at the bottom",
    op: weightGradient,
    inputs: { x: [3, 30, 41, 8], gradient: [3, 15, 21, 4] },
    attributes: { weight: [3, 3, 1, 8], stride: 2, padding: [0, 0, 1, 0] },
    kilobytes: 40,
    launches: 5,
  },
  {
    name: "an enlargement to an odd size",
    op: weightGradient,
    inputs: { x: [2, 15, 12, 12], gradient: [2, 29, 24, 4] },
    attributes: {
      weight: [3, 3, 1, 12],
      padding: [1, 0, 1, 0],
      upsampleTo: [29, 24],
    },
    kilobytes: 20,
    launches: 3,
  },
  {
    name: "a batch of odd images, channel bias and residual",
    op: conv2d,
    inputs: {
      x: [3, 31, 23, 12],
      weight: [8, 3, 3, 12],
      bias: [8],
      channelBias: [3, 8],
      residual: [3, 31, 23, 8],
    },
    attributes: { padding: [1, 1, 1, 1], activation: "silu" },
    kilobytes: 33,
    launches: 4,
  },
  {
    name: "steps of two, zeros at the right and the bottom",
    op: conv2d,
    inputs: { x: [2, 60, 41, 16], weight: [8, 3, 3, 16] },
    attributes: { stride: 2, padding: [0, 1, 1, 0] },
    kilobytes: 64,
    launches: 5,
  },
  {
    name: "an enlargement to an odd size",
    op: conv2d,
    inputs: { x: [2, 15, 12, 12], weight: [16, 3, 3, 12], bias: [16] },
    attributes: { padding: [1, 1, 1, 1], upsampleTo: [29, 24] },
    kilobytes: 20,
    launches: 5,
  },
  {
    name: "a window of seven",
    op: conv2d,
    inputs: { x: [1, 50, 50, 4], weight: [12, 7, 7, 4] },
    attributes: { padding: [3, 3, 3, 3], stride: 2 },
    kilobytes: 26,
    launches: 2,
  },
  {
    name: "whole vec8s of odd images, channel bias and residual",
    op: conv2d,
    inputs: {
      x: [3, 31, 23, 24],
      weight: [16, 3, 3, 24],
      bias: [16],
      channelBias: [3, 16],
      residual: [3, 31, 23, 16],
    },
    attributes: { padding: [1, 1, 1, 1], activation: "silu" },
    kilobytes: 66,
    launches: 4,
    kernel: "workgroup-tiled",
  },
  {
    name: "rows of whole vec8s",
    op: linear,
    inputs: { x: [3, 333, 40], weight: [24, 40], residual: [3, 333, 24] },
    kilobytes: 40,
    launches: 4,
    kernel: "workgroup-tiled",
  },
  {
    name: "heads of 24, a batch that starts where no binding may",
    op: attention,
    inputs: { q: [5, 21, 24], k: [5, 13, 24], v: [5, 13, 24] },
    attributes: { heads: 1 },
    kilobytes: 5,
    launches: 3,
    kernel: "workgroup-tiled",
  },
  {
    name: "a batch that starts where no binding may",
    op: attention,
    inputs: { q: [5, 21, 24], k: [5, 13, 24], v: [5, 13, 24] },
    attributes: { heads: 2 },
    kilobytes: 5,
    launches: 3,
  },
  {
    name: "keys as texels, images that begin where no binding may",
    op: attention,
    inputs: { q: [5, 21, 48], k: [5, 13, 48], v: [5, 13, 48] },
    attributes: { heads: 2 },
    kilobytes: 9,
    launches: 9,
    kernel: "texture-backed",
  },
  {
    name: "keys as texels, and an identity's",
    op: attention,
    inputs: {
      q: [4, 19, 40],
      k: [4, 23, 40],
      v: [4, 23, 40],
      identityScale: [1],
    },
    attributes: { heads: 1, textKeys: 17 },
    kilobytes: 8,
    launches: 6,
    kernel: "texture-backed",
  },
  {
    name: "products as texels, and an identity's keys",
    op: attention,
    inputs: {
      q: [5, 37, 88],
      k: [5, 23, 88],
      v: [5, 23, 88],
      identityScale: [1],
    },
    attributes: { heads: 1, textKeys: 16 },
    kilobytes: 27,
    launches: 18,
    kernel: "texture-backed",
  },
  {
    name: "products as texels, causal",
    op: attention,
    inputs: { q: [3, 21, 72], k: [3, 21, 72], v: [3, 21, 72] },
    attributes: { heads: 3, causal: true },
    kilobytes: 7,
    launches: 18,
    kernel: "texture-backed",
  },
];

/** Runs a case under limits; returns the elements and the launches. */
async function run(storage: StorageType, cut: Cut, limits?: GpuLimits) {
  const g = new Graph(storage);
  const tensors: Record<string, Tensor> = {};
  for (const [name, shape] of Object.entries(cut.inputs)) {
    const others: Record<string, "u32" | "f32"> = {
      ids: "u32",
      identityScale: "f32",
    };
    tensors[name] = g.input(name, shape, others[name] ?? storage);
  }
  const found = g.applyAll(cut.op, tensors, cut.attributes ?? {});
  for (const [name, output] of Object.entries(found)) {
    g.output(`found ${name}`, output);
  }
  const kernels = new KernelChoice(g, (_node, [first, ...others]) => {
    if (!cut.kernel) return first;
    assert(others.includes(cut.kernel));
    return cut.kernel;
  });
  using plan = await Plan.make(await sharedGpu(), g, { limits, kernels });
  Object.entries(cut.inputs).forEach(([name, shape], seed) => {
    plan.write(
      name,
      name === "ids"
        ? Uint32Array.from(
          { length: elementCount(shape) },
          (_, i) => i * 37 % 1001,
        )
        : Float32Array.from(makeInput(normal(shape), seed).data),
    );
  });
  plan.run();
  const outputs = await plan.read(...g.outputs.keys());
  return { outputs, launches: plan.statistics.dispatches };
}

for (const storage of ["f32", "f16"] as const) {
  for (const cut of cuts) {
    gpuTest(`cut ${cut.op.name}, ${storage}: ${cut.name}`, async () => {
      const { limits } = await sharedGpu();
      const bytes = cut.kilobytes * 1024 / (storage === "f16" ? 2 : 1);
      const whole = await run(storage, cut);
      const slices = await run(storage, cut, {
        maxBufferSize: limits.maxBufferSize,
        maxComputeWorkgroupsPerDimension:
          limits.maxComputeWorkgroupsPerDimension,
        maxStorageBufferBindingSize: bytes,
      });
      assert(
        slices.launches >= cut.launches,
        `${slices.launches} launches, expected ${cut.launches} or more`,
      );
      assertEquals(slices.outputs, whole.outputs);
    });
  }
}

gpuTest("cut: a row that no binding holds is refused by name", async () => {
  const { limits } = await sharedGpu();
  await assertRejects(
    () =>
      run("f32", { ...cuts[0], launches: 1 }, {
        maxBufferSize: limits.maxBufferSize,
        maxComputeWorkgroupsPerDimension: 65535,
        maxStorageBufferBindingSize: 1024,
      }),
    MasterWeaverError,
    "Cannot place x f32 (3, 333, 36) of linear",
  );
});

const uncut: readonly Cut[] = [
  {
    name: "x",
    op: mapGradient,
    inputs: { x: [3, 999], gradient: [3, 999] },
    attributes: { activation: "silu" },
    kilobytes: 4,
    launches: 1,
  },
  {
    name: "gradient",
    op: viewGradient,
    inputs: { gradient: [40, 60] },
    attributes: { of: [41, 64], shape: [40, 60], strides: [64, 1] },
    kilobytes: 4,
    launches: 1,
  },
  {
    name: "q",
    op: attentionGradient,
    inputs: {
      q: [2, 99, 16],
      k: [2, 9, 16],
      v: [2, 9, 16],
      gradient: [2, 99, 16],
    },
    attributes: { heads: 2 },
    kilobytes: 4,
    launches: 1,
  },
];

for (const cut of uncut) {
  gpuTest(
    `cut: what ${cut.op.name} does not cut is refused by name`,
    async () => {
      const { limits } = await sharedGpu();
      await assertRejects(
        () =>
          run("f32", cut, {
            maxBufferSize: limits.maxBufferSize,
            maxComputeWorkgroupsPerDimension: 65535,
            maxStorageBufferBindingSize: cut.kilobytes * 1024,
          }),
        MasterWeaverError,
        `Cannot place ${cut.name} f32 (${
          cut.inputs[cut.name].join(", ")
        }) of ${cut.op.name}`,
      );
    },
  );
}

Deno.test("cut: slices follow each other and start where a binding may", () => {
  const limits = {
    maxBufferSize: 0,
    maxComputeWorkgroupsPerDimension: 0,
    maxStorageBufferBindingSize: 100_000,
  };
  for (const rows of [1, 127, 128, 1000, 4096, 5001]) {
    for (const bytes of [2, 6, 24, 250, 640, 780]) {
      let next = 0;
      for (const piece of splitRows(rows, bytes, limits)) {
        assertEquals(piece.start, next);
        assertEquals(piece.start * bytes % 256, 0);
        assert(piece.rows * bytes <= 100_000 && piece.rows > 0);
        next += piece.rows;
      }
      assertEquals(next, rows);
    }
  }
});

Deno.test("cut: a part from any element on", () => {
  assertEquals(shiftedSlice(0, 10, 4), { offset: 0, size: 40, skip: 0 });
  assertEquals(shiftedSlice(1000, 10, 2), {
    offset: 1792,
    size: 2 * (104 + 10),
    skip: 104,
  });
});
