/**
 * An op of this project, ready to be timed.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { readBuffers } from "../../src/gpu/readback.ts";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { attention } from "../../src/ops/attention/attention.ts";
import { conv2d } from "../../src/ops/conv2d/conv2d.ts";
import { groupNorm } from "../../src/ops/group_norm.ts";
import { layerNorm } from "../../src/ops/layer_norm.ts";
import { linear } from "../../src/ops/linear/linear.ts";
import type { WeightRef } from "../../src/weights/scope.ts";
import type { Contender } from "./clock.ts";
import { graphFlops, makePlan } from "./kernels.ts";
import { EPS, inputsOf, type Work, type WorkInput } from "./work.ts";

/** An op on the GPU. */
export interface OwnOp extends Contender, AsyncDisposable {
  /** Shaders it runs, with the number of dispatches of each. */
  readonly shaders: readonly string[];
  /** Floating-point operations as the op itself counts them. */
  readonly flops: number;
  /** Reads the result. */
  read(): Promise<Float32Array>;
}

/**
 * Puts an op on the GPU, its weights as those of a model are.
 *
 * @param values of its inputs, in the order of {@linkcode inputsOf}
 */
export async function makeOwn(
  gpu: Gpu,
  storage: StorageType,
  work: Work,
  values: readonly Float32Array<ArrayBuffer>[],
): Promise<OwnOp> {
  const g = new Graph(storage);
  const specs = inputsOf(work);
  const tensors = specs.map((spec, i) =>
    spec.weight
      ? g.parameter(weightRef(spec, values[i]))
      : g.input(spec.name, spec.shape, storage)
  );
  const y = build(g, work, tensors);
  g.output("y", y);
  const store = new WeightStore(gpu);
  const plan = await makePlan(gpu, g, store);
  specs.forEach(({ name, weight }, i) => {
    if (!weight) plan.write(name, values[i]);
  });
  const { buffer, offset } = plan.tensor("y").slice;
  return {
    shaders: counted(plan.listing.map(({ shader }) => shader)),
    flops: graphFlops(g),
    queue: () => plan.run(),
    // As others are waited for: by reading one word back.
    wait: async () =>
      void await readBuffers(gpu, [{ buffer, offset, size: 4 }]),
    read: async () => (await plan.read("y")).y as Float32Array,
    [Symbol.asyncDispose]: async () => {
      await gpu.idle();
      plan[Symbol.dispose]();
      store[Symbol.dispose]();
    },
  };
}

/** Names in the order of first mention, with how often: `a`, `b ×3`. */
function counted(names: readonly string[]): string[] {
  return [...Map.groupBy(names, (name) => name)].map(([name, { length }]) =>
    length > 1 ? `${name} ×${length}` : name
  );
}

function build(g: Graph, work: Work, inputs: readonly Tensor[]): Tensor {
  const [x, weight, bias] = inputs;
  switch (work.kind) {
    case "linear": {
      const none = { bias: undefined, residual: undefined };
      return g.apply(linear, { x, weight, ...none }, {});
    }
    case "conv": {
      const none = { bias: undefined, shift: undefined, residual: undefined };
      const pad = work.kernel >> 1;
      const padding = [pad, pad, pad, pad] as const;
      return g.apply(conv2d, { x, weight, ...none }, { padding });
    }
    case "attention": {
      const [q, k, v] = inputs;
      const given = { q, k, v, identityScale: undefined };
      return g.apply(attention, given, { heads: work.heads });
    }
    case "group norm + SiLU": {
      const { groups } = work;
      const attributes = { groups, eps: EPS, activation: "silu" } as const;
      return g.apply(groupNorm, { x, weight, bias }, attributes);
    }
    case "layer norm":
      return g.apply(layerNorm, { x, weight, bias }, { eps: EPS });
  }
}

/** Values as if a model's file had them. */
function weightRef(
  { name, shape }: WorkInput,
  values: Float32Array<ArrayBuffer>,
): WeightRef {
  const bytes = new Uint8Array(values.buffer);
  const chunks = async function* () {
    yield await Promise.resolve(bytes);
  };
  const tensor = { name, dtype: "f32", shape, bytes: bytes.length, chunks };
  return { name, shape, tensor: tensor as WeightRef["tensor"] };
}
