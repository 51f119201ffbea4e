/**
 * Trained parameters in blocks: what lies where, slices, reading and writing,
 * freeing.
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { Graph } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { map } from "../src/ops/map.ts";
import { accumulateGradients } from "../src/train/optimiser/gradients.ts";
import { ParameterBlocks } from "../src/train/optimiser/parameter_blocks.ts";
import {
  layOutParameters,
  type TrainedParameter,
} from "../src/train/optimiser/parameter_layout.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

const parameters: readonly TrainedParameter[] = [
  { name: "a", shape: [5, 7] },
  { name: "bias", shape: [3], weightDecay: false },
  { name: "b", shape: [64] },
  { name: "large", shape: [300] },
  { name: "c", shape: [2, 2] },
  { name: "slow", shape: [1], learningRateFactor: 0.5 },
  { name: "d", shape: [65] },
];

/** A layout as `name@offset` of each block's parameters. */
function outline(given: readonly TrainedParameter[], blockBytes: number) {
  return layOutParameters(given, blockBytes).map(({ places }) =>
    places.map(({ name, offset }) => `${name}@${offset}`).join(" ")
  );
}

Deno.test("blocks: parameters lie in order, those updated alike together", () => {
  assertEquals(outline(parameters, 1024), [
    "a@0 b@256 c@512",
    "bias@0",
    // Larger than a block: alone, and c still finds a place in the first.
    "large@0",
    "slow@0",
    "d@0",
  ]);
  assertEquals(outline(parameters, 2 ** 26), [
    "a@0 b@256 large@512 c@1792 d@2048",
    "bias@0",
    "slow@0",
  ]);
  const [first, second, third] = layOutParameters(parameters);
  assertEquals([first.bytes, second.bytes, third.bytes], [2560, 256, 256]);
  assertEquals([first.weightDecay, second.weightDecay], [true, false]);
  assertEquals(third.learningRateFactor, 0.5);
});

Deno.test("blocks: parameters that cannot be trained are refused by name", () => {
  const wrong: [TrainedParameter[], string][] = [
    [[], "expected at least one parameter"],
    [[parameters[0], parameters[0]], "a: its name is given twice"],
    [[{ name: "x", shape: [2, 0] }], "x: expected lengths of 1 and more"],
    [
      [{ name: "x", shape: [2], learningRateFactor: -1 }],
      "x: expected a learning rate factor of 0 and more, got -1",
    ],
  ];
  for (const [given, message] of wrong) {
    const error = assertThrows(
      () => layOutParameters(given),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-option");
  }
});

gpuTest(
  "blocks: what is written is read back, and nothing else changes",
  async () => {
    const gpu = await sharedGpu();
    using blocks = await ParameterBlocks.make(gpu, parameters, {
      average: true,
      blockBytes: 1024,
    });
    const values = new Map(parameters.map(({ name, shape }, seed) => {
      const length = shape.reduce((a, b) => a * b, 1);
      return [name, Float32Array.from({ length }, (_, i) => seed + i / 512)];
    }));
    for (const [name, data] of values) blocks.start(name, data);
    for (const kind of ["parameters", "average"] as const) {
      const found = await blocks.read(kind);
      assertEquals([...found.keys()], blocks.names);
      for (const [name, data] of values) assertEquals(found.get(name), data);
    }
    for (const [, data] of await blocks.read("firstMoments")) {
      assertEquals(data, new Float32Array(data.length));
    }
    blocks.write("b", new Float32Array(64).fill(9), "secondMoments");
    const flat = await blocks.readBlock(0, "secondMoments");
    assertEquals(flat.length, 192);
    assertEquals(flat.indexOf(9), 64);
    assertEquals(flat.lastIndexOf(9), 127);
    blocks.writeBlock(0, "gradients", flat);
    assertEquals((await blocks.read("gradients")).get("b")!.at(-1), 9);
  },
);

gpuTest(
  "blocks: slices are bound to a graph, which adds gradients",
  async () => {
    const gpu = await sharedGpu();
    using blocks = await ParameterBlocks.make(gpu, parameters);
    blocks.write("d", Float32Array.from({ length: 65 }, (_, i) => i));
    blocks.write("b", new Float32Array(64).fill(4));
    const g = new Graph("f32");
    const scale = g.input("scale", [1], "f32");
    const b = g.input("b", [64], "f32");
    const d = g.input("d", [65], "f32");
    // Of |x|² / 2, and of 3 Σ x.
    const gradients = new Map([
      ["d", d],
      ["b", g.apply(map, { x: b }, { scale: 0, offset: 3 })],
    ]);
    const bindings = accumulateGradients(g, blocks, gradients, scale);
    using plan = await Plan.make(gpu, g, {
      bindings: {
        ...bindings,
        b: blocks.slice("b", "parameters"),
        d: blocks.slice("d", "parameters"),
      },
    });
    plan.write("scale", Float32Array.of(0.5));
    plan.run();
    plan.run();
    const found = await blocks.read("gradients");
    assertEquals(found.get("b"), new Float32Array(64).fill(3));
    assertEquals(
      found.get("d"),
      Float32Array.from({ length: 65 }, (_, i) => i),
    );
    assertEquals(found.get("large"), new Float32Array(300));
    assertEquals(found.get("c"), new Float32Array(4));
  },
);

gpuTest("blocks: unknown names, kinds and sizes are refused", async () => {
  const gpu = await sharedGpu();
  using blocks = await ParameterBlocks.make(gpu, parameters);
  const refused = (call: () => void) => {
    const error = assertThrows(call, MasterWeaverError);
    assertEquals(error.code, "bad-option");
    return error.message;
  };
  assertEquals(
    refused(() => blocks.slice("e", "parameters")),
    "Found no trained parameter named e: there are 7, the first is a",
  );
  assertEquals(
    refused(() => blocks.slice("a", "average")),
    "Found no average of the parameters: make the blocks with it",
  );
  assertEquals(
    refused(() => blocks.write("a", new Float32Array(36))),
    "Cannot write 36 elements to the parameter a, which is f32 (5, 7)",
  );
});

gpuTest(
  "blocks: all memory is freed, and what does not fit is refused",
  async () => {
    const gpu = await sharedGpu();
    const before = gpu.buffers.bytes;
    {
      using blocks = await ParameterBlocks.make(gpu, parameters, {
        average: true,
      });
      assertEquals(gpu.buffers.bytes - before, blocks.bytes);
      assertEquals(blocks.bytes, 5 * (2560 + 256 + 256));
    }
    assertEquals(gpu.buffers.bytes, before);
    const rows = gpu.limits.maxStorageBufferBindingSize / 1024 + 1;
    const error = await assertRejects(
      () => ParameterBlocks.make(gpu, [{ name: "huge", shape: [rows, 256] }]),
      MasterWeaverError,
      `Cannot train the parameter huge f32 (${rows}, 256): ${
        rows * 1024
      } bytes`,
    );
    assertEquals(error.code, "out-of-memory");
    assertEquals(gpu.buffers.bytes, before);
  },
);
