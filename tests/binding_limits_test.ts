/**
 * Large images on an adapter that binds no more than WebGPU promises: no op is
 * refused, whichever way it is computed. Nothing runs.
 */
import { assert, assertEquals } from "@std/assert";
import type { GpuLimits } from "../src/gpu/gpu.ts";
import { scratchShape } from "../src/gpu/texels.ts";
import type { Graph } from "../src/graph/graph.ts";
import { checkBindings } from "../src/graph/launches.ts";
import { neededNodes, texelsNeeded } from "../src/graph/schedule.ts";
import { Variants } from "../src/graph/variants.ts";
import type { Launch } from "../src/ops/op.ts";
import {
  conditionGraph,
  decodeGraph,
  stepGraph,
} from "../src/generate/generator.ts";
import { inventComponents, SD15 } from "../tools/bench/invented.ts";

/** What every adapter offers. */
const promised: GpuLimits = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  maxComputeWorkgroupsPerDimension: 65535,
};
/** Most rows of a texture that every adapter offers. */
const PROMISED_ROWS = 8192;

/** Which variants are taken before others. */
const preferences: readonly (readonly string[])[] = [
  ["registers"],
  ["tiles", "registers"],
  ["texels", "registers"],
  ["winograd", "texels", "registers"],
];

/** What is refused of a graph, with ops computed as preferred. */
function refused(graph: Graph, preferred: readonly string[]): string[] {
  const variants = new Variants(
    graph,
    (_node, known) =>
      preferred.find((name) => known.includes(name)) ?? known[0],
  );
  const nodes = neededNodes(graph);
  const targetOf = (node: typeof nodes[number]) => ({
    storage: graph.storage,
    limits: promised,
    variant: variants.of(node),
  });
  const messages: string[] = [];
  for (const node of nodes) {
    const { op, inputs, attributes } = node.source;
    const target = targetOf(node);
    const launches: Launch[] = op.launch(inputs, node, attributes, target);
    for (const launch of launches) {
      try {
        checkBindings(node, launch, target);
      } catch (error) {
        messages.push(`${launch.shader}: ${(error as Error).message}`);
      }
    }
  }
  for (const count of texelsNeeded(nodes, targetOf)) {
    const { height } = scratchShape(count);
    if (height > PROMISED_ROWS) messages.push(`A texture of ${height} rows`);
  }
  return messages;
}

for (const storage of ["f32", "f16"] as const) {
  for (
    const [images, side] of [[16, 512], [1, 1024], [4, 1024], [1, 2048]]
  ) {
    Deno.test(`binding limits: ${images} of ${side}², ${storage}: no op is refused`, async () => {
      const parts = await inventComponents(SD15, storage);
      const layout = {
        images,
        height: side / 8,
        width: side / 8,
        guided: true,
      };
      const graphs: Readonly<Record<string, Graph>> = {
        condition: conditionGraph(storage, parts, layout),
        step: stepGraph(storage, parts, layout),
        "step, merged": stepGraph(storage, parts, {
          ...layout,
          mergeTokens: 0.5,
        }),
        decode: decodeGraph(storage, parts, layout),
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

Deno.test("binding limits: what cannot be split is refused by name", async () => {
  const parts = await inventComponents(SD15, "f32");
  const layout = { images: 1, height: 64, width: 64, guided: false };
  const graph = stepGraph("f32", parts, layout);
  const tiny = { ...promised, maxStorageBufferBindingSize: 4096 };
  const [node] = neededNodes(graph).filter(({ source }) =>
    source.op.name === "conv2d"
  );
  const { op, inputs, attributes } = node.source;
  const target = {
    storage: "f32",
    limits: tiny,
    variant: "registers",
  } as const;
  let message = "";
  try {
    for (const launch of op.launch(inputs, node, attributes, target)) {
      checkBindings(node, launch, target);
    }
  } catch (error) {
    ({ message } = error as Error);
  }
  assert(message.startsWith("Cannot place "), message);
});
