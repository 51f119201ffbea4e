/**
 * Training steps of Stable Diffusion 1.5 at full size on an adapter that binds no more
 * than WebGPU promises: no op is refused, whichever way it is computed. Nothing runs.
 */
import { assertEquals } from "@std/assert";
import type { StorageType } from "../src/gpu/gpu.ts";
import type { Graph } from "../src/graph/graph.ts";
import { cast } from "../src/train/gradients/shapes.ts";
import {
  type StepComponents,
  stepGraph,
  type StepShape,
} from "../src/train/step/graph.ts";
import type { Trainable } from "../src/train/step/trainable.ts";
import type { WeightRef } from "../src/weights/scope.ts";
import { SD15, syntheticModel } from "../tools/bench/synthetic.ts";
import { KERNEL_PREFERENCES, refusedBindings } from "./support/bindings.ts";

/** Some weights, trained. */
function trainAll(refs: readonly WeightRef[]): Trainable {
  return {
    parameters: refs.map(({ name, shape }) => ({
      name,
      shape,
      learningRateFactor: 1,
    })),
    start: () => Promise.reject(new Error("nothing runs")),
    attach(g, masters) {
      for (const ref of refs) {
        g.substitute(ref, cast(masters.get(ref.name)!, g.storage));
      }
    },
  };
}

/** A step's graph whose outputs are all gradients. */
function trainingGraph(
  storage: StorageType,
  shape: StepShape,
  trained: (components: StepComponents) => readonly WeightRef[],
): Graph {
  const components = syntheticModel(SD15, storage);
  // Names and shapes become known as the networks ask for them.
  stepGraph(storage, components, trainAll([]), { ...shape, batch: 1 });
  const trainable = trainAll(trained(components));
  const { graph, gradients } = stepGraph(storage, components, trainable, shape);
  gradients.forEach((gradient, i) => graph.output(`gradient ${i}`, gradient));
  return graph;
}

const size = [64, 64] as const;

for (
  const [batch, storage] of [[1, "f32"], [2, "f32"], [4, "f32"], [
    8,
    "f16",
  ]] as const
) {
  for (
    const [what, shape, trained] of [
      [
        "the adapter, with the edit's loss",
        { lambdaNoise: 0.8, lambdaEdit: 1 },
        ({ adapter }: StepComponents) => adapter.weights.requested,
      ],
      [
        "the UNet",
        { lambdaNoise: 0.6 },
        ({ unet }: StepComponents) => unet.weights.requested,
      ],
    ] as const
  ) {
    Deno.test(`training limits: ${batch} of 512², ${storage}, ${what}: no op is refused`, () => {
      const graph = trainingGraph(storage, { batch, size, ...shape }, trained);
      for (const preferred of KERNEL_PREFERENCES) {
        assertEquals(refusedBindings(graph, preferred), [], preferred[0]);
      }
    });
  }
}
