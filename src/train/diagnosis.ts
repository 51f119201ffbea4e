/**
 * Finds the first tensor of a step that is not finite, once training has met one.
 *
 * The step's graph is made again with a check after every op, so that the steps of
 * training themselves are not slowed down.
 *
 * @module
 */
import type { Gpu } from "../gpu/gpu.ts";
import { Pace } from "../gpu/pace.ts";
import { baseOf, Graph, type OpNode, type Tensor } from "../graph/graph.ts";
import { type GpuTensor, Plan } from "../graph/plan.ts";
import { KernelChoice } from "../graph/kernel_choice.ts";
import { neededNodes } from "../graph/schedule.ts";
import type { WeightStore } from "../graph/weight_store.ts";
import { nonFinite } from "../ops/non_finite.ts";
import type { WeightRef } from "../weights/scope.ts";
import type { ParameterBlocks } from "./optimiser/parameter_blocks.ts";
import type { StepGraph } from "./step/graph.ts";
import { masterName, readFloats } from "./step/trainable.ts";

/** What the names of trained parameters' inputs begin with. */
const MASTER = masterName("");

/** What a step is diagnosed with. */
export interface DiagnosisOptions {
  /** The device. */
  readonly gpu: Gpu;
  /** The step's graph, made anew. */
  readonly step: StepGraph;
  /** The trained parameters, as the step had them. */
  readonly blocks: ParameterBlocks;
  /** Holds the graph's weights, or gets them. */
  readonly weights: WeightStore;
  /** An input of the graph, as the step had it. */
  readonly input: (name: string) => GpuTensor;
  /** A plan that does not run meanwhile: its memory is used. */
  readonly shares?: Plan;
}

/**
 * Runs a step with checks.
 *
 * @returns the first tensor that is not finite, in words; undefined where all are finite
 * @throws {MasterWeaverError} `device-lost`, `gpu`, `out-of-memory`
 */
export async function firstNonFinite(
  options: DiagnosisOptions,
): Promise<string | undefined> {
  const { gpu, step, blocks, weights, shares } = options;
  for (const [name, values] of await blocks.read("parameters")) {
    if (!values.every(Number.isFinite)) return `the trained parameter ${name}`;
  }
  const { graph } = step;
  for (const [i, loss] of step.losses.entries()) {
    graph.output(`loss ${i}`, loss);
  }
  step.gradients.forEach((gradient, i) =>
    graph.output(`gradient ${i}`, gradient)
  );
  const checked = new CheckedGraph(graph);
  const kernels = new KernelChoice(checked.graph);
  await weights.load(kernels.parameters);
  const bindings: Record<string, GpuTensor> = {};
  for (const name of graph.inputs.keys()) {
    bindings[name] = name.startsWith(MASTER)
      ? blocks.slice(name.slice(MASTER.length), "parameters")
      : options.input(name);
  }
  using plan = await Plan.make(gpu, checked.graph, {
    weights: [weights],
    bindings,
    kernels,
    shares,
  });
  plan.write("health", new Uint32Array(checked.tensors.length));
  const pace = new Pace(gpu);
  await plan.runPaced(pace);
  await pace.finish();
  const { checked: marks } = await plan.read("checked");
  const at = marks.findIndex((mark) => mark !== 0);
  return at < 0 ? undefined : await described(step, checked.tensors[at]);
}

/** A copy of a graph that marks every tensor which is not finite. */
class CheckedGraph {
  /** The copy; its output `checked` has a mark a tensor. */
  readonly graph: Graph;
  /** Tensors of the original, in the order in which they are checked. */
  readonly tensors: readonly Tensor[];
  readonly #copies = new Map<Tensor, Tensor>();

  constructor(original: Graph) {
    const g = new Graph(original.storage);
    this.graph = g;
    const nodes = neededNodes(original);
    const inputs = [...original.inputs.values()];
    const checkable = [
      ...inputs,
      ...nodes.flatMap(({ outputs }) => Object.values(outputs)),
    ].filter(({ dtype, texels }) => dtype !== "u32" && texels === undefined);
    this.tensors = checkable;
    const slots = new Map(checkable.map((tensor, slot) => [tensor, slot]));
    let health = g.input("health", [checkable.length], "u32");
    const check = (tensor: Tensor) => {
      const slot = slots.get(tensor);
      if (slot === undefined) return;
      health = g.apply(nonFinite, { x: this.#copy(tensor), health }, { slot });
    };
    inputs.forEach(check);
    for (const node of nodes) {
      this.#apply(node);
      Object.values(node.outputs).forEach(check);
    }
    g.output("checked", health);
  }

  #apply({ op, inputs, attributes, outputs }: OpNode): void {
    const own = Object.fromEntries(
      Object.entries(inputs)
        .map(([name, tensor]) => [name, tensor && this.#copy(tensor)]),
    );
    const made = this.graph.applyAll(op, own, attributes);
    for (const [name, output] of Object.entries(outputs)) {
      this.#copies.set(output, made[name]);
    }
  }

  #copy(tensor: Tensor): Tensor {
    const known = this.#copies.get(tensor);
    if (known) return known;
    const copy = this.#copySource(tensor);
    this.#copies.set(tensor, copy);
    return copy;
  }

  #copySource({ source, shape, dtype }: Tensor): Tensor {
    const g = this.graph;
    switch (source.kind) {
      case "input":
        return g.input(source.name, shape, dtype, source);
      case "parameter": {
        const { ref, trainable } = source;
        const kept = dtype === "f16" || dtype === "f32" ? dtype : undefined;
        return g.parameter(ref, { dtype: kept, trainable });
      }
      case "constant":
        return g.constant(source.data, shape);
      case "reshape":
        return this.#copy(source.from).reshape(...shape);
      case "op":
        // Nodes are applied in their order, each before it is asked for.
        throw new Error(`No ${source.node.op.name} was applied yet`);
    }
  }
}

/** What inputs are, for people. */
const INPUTS: Readonly<Record<string, string>> = {
  latents: "the latents of the images, which the VAE makes",
  features: "the features of the references, which the vision tower makes",
  text: "the encoded captions, which the text tower makes",
  plain_text: "the encoded prompts, which the text tower makes",
  edited_text: "the encoded edits, which the text tower makes",
  no_identity: "the tokens of an empty reference",
};

async function described(
  { graph, losses }: StepGraph,
  tensor: Tensor,
): Promise<string> {
  const { source, shape } = tensor;
  if (source.kind === "input") {
    return INPUTS[source.name] ?? `the input ${source.name}`;
  }
  if (source.kind !== "op") return "a constant";
  const { node } = source;
  const frozen = Object.values(node.inputs).flatMap((input) => refOf(input));
  for (const ref of frozen) {
    const values = await readFloats(ref);
    if (!values.every(Number.isFinite)) return `the frozen weight ${ref.name}`;
  }
  const index = graph.ops.indexOf(node);
  const lastLoss = Math.max(...losses.map((loss) => indexOf(graph, loss)));
  const trained = Object.values(node.inputs).flatMap((input) =>
    masterOf(input)
  );
  const names = [...frozen.map(({ name }) => name), ...trained];
  const block = graph.blocks
    .find(({ start, end }) => start <= index && index < end);
  return [
    `the output (${shape.join(", ")}) of ${node.op.name}`,
    ...names.length > 0 ? [`with ${names.join(", ")}`] : [],
    ...block ? [`in ${block.name}`] : [],
    ...index > lastLoss ? ["in the backward pass"] : [],
  ].join(" ");
}

function indexOf(graph: Graph, tensor: Tensor): number {
  const { source } = baseOf(tensor);
  return source.kind === "op" ? graph.ops.indexOf(source.node) : -1;
}

/** The weight of the model that a tensor is. */
function refOf(tensor: Tensor | undefined): WeightRef[] {
  const source = tensor && baseOf(tensor).source;
  return source?.kind === "parameter" ? [source.ref] : [];
}

/** The name of the trained parameter that a tensor is, or is cast from. */
function masterOf(tensor: Tensor | undefined): string[] {
  const source = tensor && baseOf(tensor).source;
  if (source?.kind === "op") {
    const { x, ...others } = source.node.inputs;
    return x && Object.keys(others).length === 0 ? masterOf(x) : [];
  }
  const isMaster = source?.kind === "input" && source.name.startsWith(MASTER);
  return isMaster ? [source.name.slice(MASTER.length)] : [];
}
