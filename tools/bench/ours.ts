/**
 * An op of this project, ready to be timed.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { readBuffers } from "../../src/gpu/readback.ts";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { attention } from "../../src/ops/attention/attention.ts";
import { conv2d } from "../../src/ops/conv2d/conv2d.ts";
import { groupNorm } from "../../src/ops/group_norm.ts";
import { layerNorm } from "../../src/ops/layer_norm.ts";
import { linear } from "../../src/ops/linear/linear.ts";
import type { WeightRef } from "../../src/weights/scope.ts";
import type { Contender } from "./clock.ts";
import { EPS, inputsOf, type RowInput, type Work } from "./rows.ts";

/** An op on the GPU. */
export interface OwnOp extends Contender, AsyncDisposable {
  /** Shaders it runs, with the number of dispatches of each: which variant it is. */
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
  const kernels = new KernelChoice(g, new Tuner(gpu).choose);
  const store = new WeightStore(gpu);
  await store.load(kernels.parameters);
  const plan = await Plan.make(gpu, g, { weights: [store], kernels });
  specs.forEach(({ name, weight }, i) => {
    if (!weight) plan.write(name, values[i]);
  });
  const { buffer, offset } = plan.tensor("y").slice;
  return {
    shaders: counted(plan.listing.map(({ shader }) => shader)),
    flops: y.source.kind === "op"
      ? y.source.node.op.flops?.(y.source.node) ?? 0
      : 0,
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
export function counted(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, n]) => n > 1 ? `${name} ×${n}` : name);
}

function build(g: Graph, work: Work, inputs: readonly Tensor[]): Tensor {
  switch (work.kind) {
    case "linear": {
      const [x, weight] = inputs;
      const none = { bias: undefined, residual: undefined };
      return g.apply(linear, { x, weight, ...none }, {});
    }
    case "conv": {
      const [x, weight] = inputs;
      const none = { bias: undefined, shift: undefined, residual: undefined };
      const pad = work.kernel >> 1;
      return g.apply(conv2d, { x, weight, ...none }, {
        padding: [pad, pad, pad, pad],
      });
    }
    case "attention": {
      const [q, k, v] = inputs;
      const { heads } = work;
      return g.apply(
        attention,
        { q, k, v, identityScale: undefined },
        { heads },
      );
    }
    case "group norm + SiLU": {
      const [x, weight, bias] = inputs;
      return g.apply(groupNorm, { x, weight, bias }, {
        groups: work.groups,
        eps: EPS,
        activation: "silu",
      });
    }
    case "layer norm": {
      const [x, weight, bias] = inputs;
      return g.apply(layerNorm, { x, weight, bias }, { eps: EPS });
    }
  }
}

/** Values as if a model's file had them. */
function weightRef(
  { name, shape }: RowInput,
  values: Float32Array<ArrayBuffer>,
): WeightRef {
  const bytes = new Uint8Array(values.buffer);
  return {
    name,
    shape,
    tensor: {
      name,
      dtype: "f32",
      shape,
      bytes: bytes.length,
      chunks: async function* () {
        yield await Promise.resolve(bytes);
      },
    },
  };
}
