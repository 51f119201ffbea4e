/**
 * Large images on an adapter that binds no more than WebGPU promises: no op is
 * refused, whichever way it is computed. Nothing runs.
 */
import { assert, assertEquals } from "@std/assert";
import type { GpuLimits } from "../src/gpu/gpu.ts";
import { scratchShape } from "../src/gpu/texels.ts";
import type { Graph } from "../src/graph/graph.ts";
import { checkBindings } from "../src/graph/launch_checks.ts";
import { launchesOf, lower } from "../src/graph/lowering.ts";
import { textureNeeds } from "../src/graph/memory_needs.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import {
  conditionGraph,
  decodeGraph,
  stepGraph,
} from "../src/generate/generator.ts";
import { SD15, syntheticModel } from "../tools/bench/synthetic.ts";

/** What every adapter offers. */
const promised: GpuLimits = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  maxComputeWorkgroupsPerDimension: 65535,
};
/** Most rows of a texture that every adapter offers. */
const PROMISED_ROWS = 8192;

/** Which kernels are taken before others. */
const preferences: readonly (readonly string[])[] = [
  ["baseline"],
  ["workgroup-tiled", "baseline"],
  ["texture-backed", "baseline"],
  ["winograd", "texture-backed", "baseline"],
];

/** What is refused of a graph, with ops computed as preferred. */
function refused(graph: Graph, preferred: readonly string[]): string[] {
  const choice = new KernelChoice(
    graph,
    (_node, known) =>
      preferred.find((name) => known.includes(name)) ?? known[0],
  );
  const steps = lower(choice, promised);
  const messages: string[] = [];
  for (const step of steps) {
    for (const launch of launchesOf(step)) {
      try {
        checkBindings(step, launch);
      } catch (error) {
        messages.push(`${launch.shader}: ${(error as Error).message}`);
      }
    }
  }
  for (const count of textureNeeds(steps).texels) {
    const { height } = scratchShape(count);
    if (height > PROMISED_ROWS) messages.push(`A texture of ${height} rows`);
  }
  return messages;
}

for (const storage of ["f32", "f16"] as const) {
  for (
    const [images, side] of [[16, 512], [1, 1024], [4, 1024], [1, 2048]]
  ) {
    Deno.test(`binding limits: ${images} of ${side}², ${storage}: no op is refused`, () => {
      const parts = syntheticModel(SD15, storage);
      const runShape = {
        images,
        height: side / 8,
        width: side / 8,
        guided: true,
      };
      const graphs: Readonly<Record<string, Graph>> = {
        condition: conditionGraph(storage, parts, runShape),
        step: stepGraph(storage, parts, runShape),
        "step, merged": stepGraph(storage, parts, {
          ...runShape,
          mergeTokens: 0.5,
        }),
        decode: decodeGraph(storage, parts, runShape),
      };
      for (const [name, graph] of Object.entries(graphs)) {
        for (const preferred of preferences) {
          assertEquals(
            refused(graph, preferred),
            [],
            `${name}, ${preferred[0]}`,
          );
        }
      }
    });
  }
}

Deno.test("binding limits: what cannot be cut is refused by name", () => {
  const parts = syntheticModel(SD15, "f32");
  const runShape = { images: 1, height: 64, width: 64, guided: false };
  const graph = stepGraph("f32", parts, runShape);
  const tiny = { ...promised, maxStorageBufferBindingSize: 4096 };
  const [step] = lower(new KernelChoice(graph), tiny)
    .filter(({ node }) => node.op.name === "conv2d");
  let message = "";
  try {
    for (const launch of launchesOf(step)) checkBindings(step, launch);
  } catch (error) {
    ({ message } = error as Error);
  }
  assert(message.startsWith("Cannot place "), message);
});
