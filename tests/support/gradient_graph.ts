/**
 * Graphs that compute gradients of a loss Σ dy · y, and one run of them.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { Plan } from "../../src/graph/plan.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { binary } from "../../src/ops/binary.ts";
import { kernelsFor } from "../../src/ops/op.ts";
import { sum } from "../../src/ops/sum.ts";
import {
  differentiate,
  type DifferentiateOptions,
} from "../../src/train/gradients/differentiate.ts";
import type { WeightRef } from "../../src/weights/scope.ts";
import type { InputSpec } from "../ops/op_case.ts";
import type { Dense } from "../ops/reference.ts";
import { sharedGpu } from "./gpu.ts";

/** What is differentiated, and by what. */
export interface GradientOf {
  /** Inputs by name; of those that are parameters, only the names count. */
  readonly inputs: Readonly<Record<string, InputSpec>>;
  /** Inputs that are parameters of a file. */
  readonly parameters?: Readonly<Record<string, WeightRef>>;
  /** Whether these are trained. */
  readonly isTrainable?: boolean;
  /** Names of the inputs by which it is differentiated. */
  readonly wanted: readonly string[];
  /** Adds the nodes of y. */
  readonly apply: (
    g: Graph,
    inputs: Readonly<Record<string, Tensor>>,
  ) => Tensor;
  /** How it is differentiated, once the nodes of y are there. */
  readonly options?: (g: Graph) => DifferentiateOptions;
}

/** Σ dy · y with an input `dy`: f32 (1). */
export function weightedSum(y: Tensor): Tensor {
  const { graph: g } = y;
  const dy = g.input("dy", y.shape, y.dtype);
  const x = g.apply(binary, { a: y, b: dy }, { operation: "mul" });
  return g.apply(sum, { x }, { axes: [0, y.shape.length], dtype: "f32" });
}

/** A graph whose outputs `gradient NAME` are the gradients of Σ dy · y. */
export function gradientGraph(
  storage: StorageType,
  { inputs, parameters = {}, isTrainable, wanted, apply, options }: GradientOf,
): Graph {
  const g = new Graph(storage);
  const tensors: Record<string, Tensor> = {};
  for (const [name, { shape, dtype = storage }] of Object.entries(inputs)) {
    tensors[name] = name in parameters
      ? g.parameter(parameters[name], { trainable: isTrainable })
      : g.input(name, shape, dtype);
  }
  const loss = weightedSum(apply(g, tensors));
  const gradients = differentiate(
    loss,
    wanted.map((name) => tensors[name]),
    options?.(g),
  );
  wanted.forEach((name, i) => {
    const gradient = gradients[i];
    assert(gradient, `no gradient by ${name}`);
    assertEquals(gradient.shape, tensors[name].shape);
    assertEquals(gradient.dtype, tensors[name].dtype);
    g.output(`gradient ${name}`, gradient);
  });
  return g;
}

/** The kernels that some op of a graph has. */
export function kernelNames(g: Graph): Set<string> {
  const { nodes } = new KernelChoice(g);
  return new Set(
    nodes.flatMap((node) => kernelsFor(node.op, node).map(({ name }) => name)),
  );
}

/** Runs a graph once with a kernel where an op has it; reads all outputs. */
export async function runGraph(
  g: Graph,
  kernel: string,
  values: Readonly<Record<string, Dense>>,
): Promise<Record<string, Float32Array | Uint32Array>> {
  const gpu = await sharedGpu();
  using store = new WeightStore(gpu);
  const kernels = new KernelChoice(
    g,
    (_node, has) => has.find((name) => name === kernel) ?? has[0],
  );
  await store.load(kernels.parameters);
  using plan = await Plan.make(gpu, g, { weights: [store], kernels });
  for (const [name, { dtype }] of g.inputs) {
    const { data } = values[name];
    plan.write(
      name,
      dtype === "u32" ? new Uint32Array(data) : new Float32Array(data),
    );
  }
  plan.run();
  return await plan.read(...g.outputs.keys());
}
