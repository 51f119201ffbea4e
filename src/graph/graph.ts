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
  type Call,
  checkDtypes,
  describe,
  type DType,
  elementCount,
  isQuantised,
  type Kernel,
  type Op,
  type Specs,
  storageOf,
  type TensorSpec,
} from "../ops/op.ts";
import type { WeightRef } from "../weights/scope.ts";
import type { WeightDtype } from "../weights/source.ts";

/** An op with its inputs, attributes and outputs forgotten. */
// deno-lint-ignore no-explicit-any
export type AnyOp = Op<any, any, any>;

/** A kernel of such an op. */
// deno-lint-ignore no-explicit-any
export type AnyKernel = Kernel<any, any, any, any>;

/** An op applied to tensors of a graph. */
export interface OpNode extends Call<Specs, unknown, string> {
  /** The op. */
  readonly op: AnyOp;
  /** What it is given, by its own names. */
  readonly inputs: Readonly<Record<string, Tensor | undefined>>;
  /** What it makes, by its own names. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** The storage type of its floats. */
  readonly storage: StorageType;
}

/** Where a tensor comes from. */
export type Source =
  | { readonly kind: "input"; readonly name: string }
  | ParameterSource
  | { readonly kind: "constant"; readonly data: Float32Array }
  | { readonly kind: "reshape"; readonly of: Tensor }
  | { readonly kind: "op"; readonly node: OpNode; readonly output: string };

/** A parameter of a network, from a file. */
export interface ParameterSource {
  /** What it is. */
  readonly kind: "parameter";
  /** The tensor of the file. */
  readonly ref: WeightRef;
  /** Whether ops may overwrite it: then it lies in rows, in a buffer of its own. */
  readonly trainable: boolean;
}

/** A parameter as a value of the graph. */
export type ParameterTensor = Tensor & {
  readonly source: ParameterSource;
  readonly dtype: WeightDtype;
};

/** How a graph wants a parameter. */
export interface ParameterOptions {
  /** Element type on the GPU; the graph's storage type, or quantised as in the file, where not given. */
  readonly dtype?: StorageType;
  /** Whether ops may overwrite it; not where not given. */
  readonly trainable?: boolean;
}

/** A value of the graph: shape, element type, and where it comes from. */
export class Tensor implements TensorSpec {
  /** The graph it belongs to. */
  readonly graph: Graph;
  /** Lengths of the axes, outermost first. */
  readonly shape: readonly number[];
  /** Element type. */
  readonly dtype: DType;
  /** Where it is packed into a texture: texels of 16 bytes. */
  readonly texels?: number;
  /** Where it comes from. */
  readonly source: Source;

  /** Made by {@linkcode Graph}. */
  constructor(graph: Graph, spec: TensorSpec, source: Source) {
    this.graph = graph;
    this.shape = spec.shape;
    this.dtype = spec.dtype;
    this.texels = spec.texels;
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
  /** The storage type of activations and parameters, where nothing else is asked for. */
  readonly storage: StorageType;
  readonly #ops: OpNode[] = [];
  readonly #inputs = new Map<string, Tensor>();
  readonly #outputs = new Map<string, Tensor>();
  readonly #parameters = new Map<WeightRef, ParameterTensor>();
  readonly #named = new Map<string, Tensor>();

  /** An empty graph. */
  constructor(storage: StorageType) {
    this.storage = storage;
  }

  /** The ops, in the order in which they run. */
  get ops(): readonly OpNode[] {
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

  /** The parameters used so far. */
  get parameters(): readonly ParameterTensor[] {
    return [...this.#parameters.values()];
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

  /**
   * A tensor of a model file. Asked for again, it is the same one.
   *
   * @throws {MasterWeaverError} `gpu` where it was asked for as something else before
   */
  parameter(ref: WeightRef, options: ParameterOptions = {}): Tensor {
    const { trainable = false } = options;
    const stored = ref.tensor.dtype;
    const dtype = options.dtype ??
      (isQuantised(stored) && !trainable ? stored : this.storage);
    const known = this.#parameters.get(ref);
    if (!known) {
      const source = { kind: "parameter", ref, trainable } as const;
      const tensor = new Tensor(this, { shape: ref.shape, dtype }, source);
      this.#parameters.set(ref, tensor as ParameterTensor);
      return tensor;
    }
    const before = known.source.trainable;
    if (known.dtype !== dtype || before !== trainable) {
      const said = (dtype: DType, trainable: boolean) =>
        `${dtype}${trainable ? ", trainable" : ""}`;
      throw new MasterWeaverError(
        "gpu",
        `Graph has the parameter ${ref.name} as ${
          said(known.dtype, before)
        } and as ${
          said(dtype, trainable)
        }: ask for it once, and cast it by a view`,
      );
    }
    return known;
  }

  /** A small f32 table known when the graph is made. */
  constant(data: Float32Array, shape: readonly number[]): Tensor {
    const spec: TensorSpec = { shape, dtype: "f32" };
    return new Tensor(this, spec, { kind: "constant", data });
  }

  /** The result of an op with one output, whose shape rule is checked here. */
  apply<I extends Specs, A>(
    op: Op<I, A>,
    inputs: Inputs<I>,
    attributes: A,
  ): Tensor {
    return this.applyAll(op, inputs, attributes).output;
  }

  /** The results of an op by its own names, whose shape rule is checked here. */
  applyAll<I extends Specs, A, O extends string>(
    op: Op<I, A, O>,
    inputs: Inputs<I>,
    attributes: A,
  ): Readonly<Record<O, Tensor>> {
    const node = this.node(op, inputs, attributes);
    this.#ops.push(node);
    return node.outputs as Record<O, Tensor>;
  }

  /** An op applied, without a place in the graph's order: for what a plan inserts. */
  node<I extends Specs, A, O extends string>(
    op: Op<I, A, O>,
    inputs: Inputs<I>,
    attributes: A,
  ): OpNode {
    const specs = inputs as unknown as I;
    const free = storageOf(op, specs, this.storage);
    checkDtypes(op, specs, free);
    const made: Record<string, TensorSpec> = op.outputs(
      specs,
      attributes,
      free,
    );
    const isFree = storageOf(op, specs, "f32") === storageOf(op, specs, "f16");
    const halves = [...Object.values(inputs), ...Object.values(made)]
      .some((spec) => (spec as TensorSpec | undefined)?.dtype === "f16");
    const outputs: Record<string, Tensor> = {};
    const node: OpNode = {
      op,
      inputs: inputs as Record<string, Tensor | undefined>,
      attributes,
      outputs,
      // Shaders of an op that casts must know f16 where either side is.
      storage: !isFree && halves ? "f16" : free,
    };
    for (const [output, spec] of Object.entries(made)) {
      const source = { kind: "op", node, output } as const;
      outputs[output] = new Tensor(this, specOf(spec), source);
    }
    return node;
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

function specOf({ shape, dtype, texels }: TensorSpec): TensorSpec {
  return { shape, dtype, texels };
}

/** The tensor whose memory a tensor is: itself, or what it reshapes. */
export function baseOf(tensor: Tensor): Tensor {
  while (tensor.source.kind === "reshape") tensor = tensor.source.of;
  return tensor;
}

/** What an op is called in messages: its name and its shapes. */
export function describeNode({ op, inputs }: OpNode): string {
  const given = Object.entries(inputs).filter(([, input]) => input)
    .map(([name, input]) => `${name} ${describe(input)}`);
  return `${op.name} of ${given.join(", ")}`;
}
