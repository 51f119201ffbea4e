/**
 * A computation as typed nodes, before anything is on the GPU.
 *
 * Nodes are made in the order in which they will run. Nothing is computed here;
 * {@linkcode ./plan.ts} turns a graph into buffers and dispatches.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { StorageType } from "../gpu/gpu.ts";
import {
  checkDtypes,
  describe,
  type DType,
  elementCount,
  isQuantised,
  type Op,
  type Specs,
  type TensorSpec,
} from "../ops/op.ts";
import type { WeightRef } from "../weights/scope.ts";

/** An op with its input and output types forgotten. */
// deno-lint-ignore no-explicit-any
export type AnyOp = Op<any, any>;

/** Where a tensor comes from. */
export type Source =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "weight"; readonly ref: WeightRef }
  | { readonly kind: "constant"; readonly data: Float32Array }
  | { readonly kind: "reshape"; readonly of: Tensor }
  | {
    readonly kind: "op";
    readonly op: AnyOp;
    readonly inputs: Readonly<Record<string, Tensor | undefined>>;
    readonly attributes: unknown;
  };

/** A value of the graph: shape, element type, and where it comes from. */
export class Tensor implements TensorSpec {
  /** The graph it belongs to. */
  readonly graph: Graph;
  /** Lengths of the axes, outermost first. */
  readonly shape: readonly number[];
  /** Element type. */
  readonly dtype: DType;
  /** Where it comes from. */
  readonly source: Source;

  /** Made by {@linkcode Graph}. */
  constructor(graph: Graph, spec: TensorSpec, source: Source) {
    this.graph = graph;
    this.shape = spec.shape;
    this.dtype = spec.dtype;
    this.source = source;
  }

  /**
   * The same elements under another shape; one length may be −1.
   *
   * @throws {MasterWeaverError} `gpu` where the number of elements differs
   */
  reshape(...shape: number[]): Tensor {
    const total = elementCount(this.shape);
    const known = shape.reduce(
      (product, n) => n < 0 ? product : product * n,
      1,
    );
    const full = shape.map((n) => n < 0 ? total / known : n);
    if (elementCount(full) !== total || !full.every(Number.isInteger)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot reshape ${describe(this)} to (${shape.join(", ")})`,
      );
    }
    const spec = { shape: full, dtype: this.dtype };
    return new Tensor(this.graph, spec, { kind: "reshape", of: this });
  }
}

/** The inputs of an op, as tensors of a graph. */
export type Inputs<I extends Specs> = {
  [K in keyof I]: undefined extends I[K] ? Tensor | undefined : Tensor;
};

/** A computation under construction. */
export class Graph {
  /** The storage type of activations and weights. */
  readonly storage: StorageType;
  readonly #ops: Tensor[] = [];
  readonly #inputs = new Map<string, Tensor>();
  readonly #outputs = new Map<string, Tensor>();
  readonly #weights = new Map<WeightRef, Tensor>();
  readonly #named = new Map<string, Tensor>();

  /** An empty graph. */
  constructor(storage: StorageType) {
    this.storage = storage;
  }

  /** Results of ops, in the order in which they run. */
  get ops(): readonly Tensor[] {
    return this.#ops;
  }

  /** Inputs by name. */
  get inputs(): ReadonlyMap<string, Tensor> {
    return this.#inputs;
  }

  /** Outputs by name. */
  get outputs(): ReadonlyMap<string, Tensor> {
    return this.#outputs;
  }

  /** The weights used so far. */
  get weights(): readonly WeightRef[] {
    return [...this.#weights.keys()];
  }

  /** Tensors given a name by {@linkcode name}. */
  get named(): ReadonlyMap<string, Tensor> {
    return this.#named;
  }

  /** A tensor written from outside before a run. */
  input(name: string, shape: readonly number[], dtype: DType): Tensor {
    if (this.#inputs.has(name)) {
      throw new MasterWeaverError("gpu", `Graph has two inputs named ${name}`);
    }
    const tensor = new Tensor(this, { shape, dtype }, { kind: "input", name });
    this.#inputs.set(name, tensor);
    return tensor;
  }

  /** A tensor of a model file, in the storage type, or quantised where it is. */
  weight(ref: WeightRef): Tensor {
    let tensor = this.#weights.get(ref);
    if (!tensor) {
      const stored = ref.tensor.dtype;
      const dtype = isQuantised(stored) ? stored : this.storage;
      const spec = { shape: ref.shape, dtype };
      tensor = new Tensor(this, spec, { kind: "weight", ref });
      this.#weights.set(ref, tensor);
    }
    return tensor;
  }

  /** A small f32 table known when the graph is made. */
  constant(data: Float32Array, shape: readonly number[]): Tensor {
    const spec: TensorSpec = { shape, dtype: "f32" };
    return new Tensor(this, spec, { kind: "constant", data });
  }

  /** The result of an op, whose shape rule is checked here. */
  apply<I extends Specs, A>(
    op: Op<I, A>,
    inputs: Inputs<I>,
    attributes: A,
  ): Tensor {
    checkDtypes(op, inputs as unknown as I, this.storage);
    const spec = op.output(inputs as unknown as I, attributes, this.storage);
    const given: Record<string, Tensor | undefined> = inputs;
    const tensor = new Tensor(this, { shape: spec.shape, dtype: spec.dtype }, {
      kind: "op",
      op,
      inputs: given,
      attributes,
    });
    this.#ops.push(tensor);
    return tensor;
  }

  /**
   * Gives a tensor a name under which a test or a loss finds it; it costs
   * nothing unless it is made an {@linkcode output} too.
   */
  name(name: string, tensor: Tensor): Tensor {
    this.#named.set(name, tensor);
    return tensor;
  }

  /** Names a tensor that outlives the run. */
  output(name: string, tensor: Tensor): Tensor {
    if (this.#outputs.has(name)) {
      throw new MasterWeaverError("gpu", `Graph has two outputs named ${name}`);
    }
    this.#outputs.set(name, tensor);
    return tensor;
  }
}

/** The tensor whose memory a tensor is: itself, or what it reshapes. */
export function baseOf(tensor: Tensor): Tensor {
  while (tensor.source.kind === "reshape") tensor = tensor.source.of;
  return tensor;
}

/** What an op is called in messages: its name and its shapes. */
export function describeNode(tensor: Tensor): string {
  if (tensor.source.kind !== "op") return describe(tensor);
  const inputs = Object.entries(tensor.source.inputs)
    .filter(([, input]) => input)
    .map(([name, input]) => `${name} ${describe(input)}`);
  return `${tensor.source.op.name} of ${inputs.join(", ")}`;
}
