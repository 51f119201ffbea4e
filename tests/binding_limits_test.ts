/**
 * Large images on an adapter that binds no more than WebGPU promises: no op is
 * refused, whichever way it is computed. Nothing runs.
 */
import { assert, assertEquals } from "@std/assert";
import type { Graph } from "../src/graph/graph.ts";
import { checkBindings } from "../src/graph/launch_checks.ts";
import { launchesOf, lower } from "../src/graph/lowering.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import {
  conditionGraph,
  decodeGraph,
  stepGraph,
} from "../src/generate/generator.ts";
import { SD15, syntheticModel } from "../tools/bench/synthetic.ts";
import {
  KERNEL_PREFERENCES,
  PROMISED_LIMITS,
  refusedBindings,
} from "./support/bindings.ts";

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
        for (const preferred of KERNEL_PREFERENCES) {
          assertEquals(
            refusedBindings(graph, preferred),
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
  const tiny = { ...PROMISED_LIMITS, maxStorageBufferBindingSize: 4096 };
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
