/**
 * Runs a pass on the GPU: loads the network, computes, frees it.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { Graph } from "../../src/graph/graph.ts";
import { Network } from "../../src/graph/network.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import type { Components } from "../../src/components/networks.ts";
import { formatShape } from "../../src/weights/dtype.ts";
import type { Pass } from "./passes.ts";
import type { Values } from "./values.ts";

/** Where and as what a pass is computed. */
export interface Where {
  /** The GPU. */
  readonly gpu: Gpu;
  /** Storage of activations, and of weights that are not quantised. */
  readonly storage: StorageType;
}

/** What a pass gave. */
export interface Ran {
  /** Its outputs by name. */
  readonly outputs: ReadonlyMap<string, Values>;
  /** Wall time with loading and compiling. */
  readonly seconds: number;
  /** Most bytes of GPU memory held at once. */
  readonly peakGpuBytes: number;
}

/**
 * Runs a pass once.
 *
 * @param inputs the pass's inputs by name; others are left alone
 * @throws {MasterWeaverError} `bad-model` where inputs do not fit the model; `gpu`, `out-of-memory`, `cannot-read`
 */
export async function runPass(
  { gpu, storage }: Where,
  pass: Pass,
  parts: Components,
  inputs: ReadonlyMap<string, Values>,
): Promise<Ran> {
  const started = performance.now();
  gpu.buffers.resetPeak();
  const g = buildPass(storage, pass, parts, inputs);
  using network = new Network(gpu, false, new Tuner(gpu));
  const plans = { pass: { key: "pass", graph: () => g } };
  const read = await network.use({ plans }, ({ pass: plan }) => {
    for (const name of g.inputs.keys()) {
      plan.write(name, inputs.get(name)!.data);
    }
    plan.run();
    return plan.read(...g.outputs.keys());
  });
  const outputs = new Map(
    [...g.outputs].map(([name, { shape }]) => [
      name,
      { shape, data: read[name] },
    ]),
  );
  return {
    outputs,
    seconds: (performance.now() - started) / 1000,
    peakGpuBytes: gpu.buffers.peakBytes,
  };
}

/** The graph of a pass; inputs and weights must be of the shapes it takes. */
function buildPass(
  storage: StorageType,
  pass: Pass,
  parts: Components,
  inputs: ReadonlyMap<string, Values>,
): Graph {
  const given = (name: string) => inputs.get(name)?.shape ?? [];
  const wrong = (name: string, expected: string) =>
    new MasterWeaverError(
      "bad-model",
      `Cannot run the ${pass.network}: ${name} is ${
        formatShape(given(name))
      }, the model takes ${expected}; compare files of one model`,
    );
  const g = new Graph(storage);
  pass.build(g, parts, (name, dimensions) => {
    const shape = given(name);
    if (shape.length === dimensions) return shape;
    throw wrong(name, `${dimensions} dimensions`);
  });
  for (const [name, { shape }] of g.inputs) {
    if (String(shape) !== String(given(name))) {
      throw wrong(name, formatShape(shape));
    }
  }
  for (const { source } of g.parameters) {
    const { name, shape, tensor } = source.ref;
    if (String(shape) === String(tensor.shape)) continue;
    throw new MasterWeaverError(
      "bad-model",
      `Cannot run the ${pass.network}: its ${name} is ${
        formatShape(tensor.shape)
      }, expected ${formatShape(shape)}; convert the model again`,
    );
  }
  return g;
}
