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
  sameShape,
  type Specs,
  storageOf,
  type TensorSpec,
} from "../ops/op.ts";
import type { WeightRef } from "../weights/scope.ts";
import type { WeightDtype } from "../weights/source.ts";

/** An op of any inputs, attributes and outputs. */
// deno-lint-ignore no-explicit-any
export type AnyOp = Op<any, any, any>;

/** A kernel of such an op. */
// deno-lint-ignore no-explicit-any
export type AnyKernel = Kernel<any, any, any, any>;

/** An op applied to tensors of a graph. */
export interface OpNode extends Call<Specs, unknown, string> {
  /** The op. */
  readonly op: AnyOp;
  /** Its inputs, by the op's names for them. */
  readonly inputs: Readonly<Record<string, Tensor | undefined>>;
  /** Its outputs, by the op's names for them. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** The storage type its shaders are made for. */
  readonly storage: StorageType;
}

/** Where a tensor comes from. */
export type Source =
  | InputSource
  | ParameterSource
  | { readonly kind: "constant"; readonly data: Float32Array }
  | { readonly kind: "reshape"; readonly from: Tensor }
  | { readonly kind: "op"; readonly node: OpNode; readonly output: string };

/** A tensor that is written before a run. */
export interface InputSource {
  /** Tells it from other sources. */
  readonly kind: "input";
  /** Its name in the graph. */
  readonly name: string;
  /** Whether it must lie in rows, even where it is a weight. */
  readonly inRows: boolean;
}

/** A parameter of a network, from a file. */
export interface ParameterSource {
  /** Tells it from other sources. */
  readonly kind: "parameter";
  /** The tensor in the file. */
  readonly ref: WeightRef;
  /** Whether ops may overwrite it; it is then stored in rows, in a buffer of its own. */
  readonly trainable: boolean;
}

/** A parameter as a value of the graph. */
export type ParameterTensor = Tensor & {
  readonly source: ParameterSource;
  readonly dtype: WeightDtype;
};

/** How a graph wants a parameter stored. */
export interface ParameterOptions {
  /** Element type on the GPU; by default the file's if quantised, else the graph's storage type. */
  readonly dtype?: StorageType;
  /** Whether ops may overwrite it; `false` by default. */
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
  /** If it is packed into a texture: how many texels, of 16 bytes each. */
  readonly texels?: number;
  /** Where it comes from. */
  readonly source: Source;

  /** Called by {@linkcode Graph} alone. */
  constructor(graph: Graph, spec: TensorSpec, source: Source) {
    this.graph = graph;
    this.shape = spec.shape;
    this.dtype = spec.dtype;
    this.texels = spec.texels;
    this.source = source;
  }

  /**
   * The same elements under another shape; one length may be −1, to be inferred.
   *
   * @throws {MasterWeaverError} `gpu` if the number of elements differs
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
    return new Tensor(this.graph, spec, { kind: "reshape", from: this });
  }
}

/** Consecutive ops that belong together, such as a residual block: what can be computed again. */
export interface Block {
  /** Its path in the network. */
  readonly name: string;
  /** Index of its first op in {@linkcode Graph.ops}. */
  readonly start: number;
  /** Index after its last op. */
  readonly end: number;
}

/** The inputs of an op, as tensors of a graph. */
export type Inputs<I extends Specs> = {
  [K in keyof I]: undefined extends I[K] ? Tensor | undefined : Tensor;
};

/** A computation under construction. */
export class Graph {
  /** The default storage type of activations and parameters. */
  readonly storage: StorageType;
  readonly #ops: OpNode[] = [];
  readonly #inputs = new Map<string, Tensor>();
  readonly #outputs = new Map<string, Tensor>();
  readonly #parameters = new Map<WeightRef, ParameterTensor>();
  readonly #named = new Map<string, Tensor>();
  readonly #substitutes = new Map<WeightRef, Tensor | (() => Tensor)>();
  readonly #blocks: Block[] = [];

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

  /** Tensors named by {@linkcode name}. */
  get named(): ReadonlyMap<string, Tensor> {
    return this.#named;
  }

  /** What {@linkcode block} recorded, inner blocks before the outer ones. */
  get blocks(): readonly Block[] {
    return this.#blocks;
  }

  /** Records the ops that `build` adds as a block; blocks may be nested. */
  block<T>(name: string, build: () => T): T {
    const start = this.#ops.length;
    const built = build();
    this.#blocks.push({ name, start, end: this.#ops.length });
    return built;
  }

  /**
   * Lets another tensor stand for a parameter wherever it is asked for from now on:
   * its f32 master cast to f16, or its sum with what is trained beside it.
   *
   * @param tensor or what builds it where the parameter is first asked for: it may
   *   ask for the parameter itself, and its nodes belong to the layer's block
   * @throws {MasterWeaverError} `gpu` if its shape differs
   */
  substitute(ref: WeightRef, tensor: Tensor | (() => Tensor)): void {
    if (typeof tensor === "function") {
      this.#substitutes.set(ref, tensor);
      return;
    }
    this.#requireOwn(tensor, `a substitute for ${ref.name}`);
    if (!sameShape(ref.shape, tensor.shape)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot substitute ${describe(tensor)} for the parameter ${ref.name} (${
          ref.shape.join(", ")
        })`,
      );
    }
    this.#substitutes.set(ref, tensor);
  }

  /**
   * A tensor that the host writes before a run.
   *
   * @param inRows whether it lies in rows even where it is a weight: one that is bound to another owner's buffer must
   */
  input(
    name: string,
    shape: readonly number[],
    dtype: DType,
    { inRows = false }: { readonly inRows?: boolean } = {},
  ): Tensor {
    if (this.#inputs.has(name)) {
      throw new MasterWeaverError("gpu", `Graph has two inputs named ${name}`);
    }
    checkShape(`input ${name}`, shape);
    const source = { kind: "input", name, inRows } as const;
    const tensor = new Tensor(this, { shape, dtype }, source);
    this.#inputs.set(name, tensor);
    return tensor;
  }

  /**
   * A tensor of a model file, or its {@linkcode substitute}; the same one each time
   * it is asked for.
   *
   * @throws {MasterWeaverError} `gpu` if it was asked for with other options before
   */
  parameter(ref: WeightRef, options: ParameterOptions = {}): Tensor {
    const substitute = this.#substitutes.get(ref);
    if (typeof substitute === "function") {
      this.#substitutes.delete(ref);
      this.substitute(ref, substitute());
      return this.parameter(ref);
    }
    if (substitute) return substitute;
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
      const form = (dtype: DType, trainable: boolean) =>
        `${dtype}${trainable ? ", trainable" : ""}`;
      throw new MasterWeaverError(
        "gpu",
        `Graph has the parameter ${ref.name} as ${
          form(known.dtype, before)
        } and as ${
          form(dtype, trainable)
        }: ask for it once, and cast it by a view`,
      );
    }
    return known;
  }

  /** A small f32 table that is known when the graph is built. */
  constant(data: Float32Array, shape: readonly number[]): Tensor {
    checkShape("constant", shape);
    if (elementCount(shape) !== data.length) {
      throw new MasterWeaverError(
        "gpu",
        `Constant (${shape.join(", ")}) has ${data.length} elements, expected ${
          elementCount(shape)
        }`,
      );
    }
    const spec: TensorSpec = { shape, dtype: "f32" };
    return new Tensor(this, spec, { kind: "constant", data });
  }

  /** Adds an op with one output, after checking its shape rule. */
  apply<I extends Specs, A>(
    op: Op<I, A>,
    inputs: Inputs<I>,
    attributes: A,
  ): Tensor {
    return this.applyAll(op, inputs, attributes).output;
  }

  /** Adds an op, after checking its shape rule; returns its outputs by name. */
  applyAll<I extends Specs, A, O extends string>(
    op: Op<I, A, O>,
    inputs: Inputs<I>,
    attributes: A,
  ): Readonly<Record<O, Tensor>> {
    const node = this.node(op, inputs, attributes);
    this.#ops.push(node);
    return node.outputs as Record<O, Tensor>;
  }

  /** Makes a node without adding it to the graph: for ops that a plan inserts. */
  node<I extends Specs, A, O extends string>(
    op: Op<I, A, O>,
    inputs: Inputs<I>,
    attributes: A,
  ): OpNode {
    for (const [name, tensor] of Object.entries(inputs)) {
      if (tensor) this.#requireOwn(tensor as Tensor, `${op.name}'s ${name}`);
    }
    const specs = inputs as unknown as I;
    const storage = storageOf(op, specs, this.storage);
    checkDtypes(op, specs, storage);
    const made: Record<string, TensorSpec> = op.outputs(
      specs,
      attributes,
      storage,
    );
    const isFixed = storageOf(op, specs, "f32") === storageOf(op, specs, "f16");
    const hasF16 = [...Object.values(inputs), ...Object.values(made)]
      .some((spec) => (spec as TensorSpec | undefined)?.dtype === "f16");
    const outputs: Record<string, Tensor> = {};
    const node: OpNode = {
      op,
      inputs: inputs as Record<string, Tensor | undefined>,
      attributes,
      outputs,
      // The shader of an op that casts must enable f16 if either side has it.
      storage: !isFixed && hasF16 ? "f16" : storage,
    };
    for (const [output, spec] of Object.entries(made)) {
      const source = { kind: "op", node, output } as const;
      outputs[output] = new Tensor(this, specOf(spec), source);
    }
    return node;
  }

  #requireOwn({ graph }: Tensor, what: string): void {
    if (graph === this) return;
    throw new MasterWeaverError(
      "gpu",
      `Cannot use a tensor of another graph as ${what}: make it an input, and bind it`,
    );
  }

  /**
   * Names a tensor so that a test or a loss can find it; costs nothing unless it is
   * made an {@linkcode output} as well.
   */
  name(name: string, tensor: Tensor): Tensor {
    this.#named.set(name, tensor);
    return tensor;
  }

  /** Names a tensor that is still there after the run. */
  output(name: string, tensor: Tensor): Tensor {
    if (this.#outputs.has(name)) {
      throw new MasterWeaverError("gpu", `Graph has two outputs named ${name}`);
    }
    this.#requireOwn(tensor, `output ${name}`);
    this.#outputs.set(name, tensor);
    return tensor;
  }
}

function specOf({ shape, dtype, texels }: TensorSpec): TensorSpec {
  return { shape, dtype, texels };
}

/** The tensor that owns a tensor's memory: itself, or the one it reshapes. */
export function baseOf(tensor: Tensor): Tensor {
  while (tensor.source.kind === "reshape") tensor = tensor.source.from;
  return tensor;
}

/** An op as messages name it: its name and the shapes of its inputs. */
export function describeNode({ op, inputs }: OpNode): string {
  const given = Object.entries(inputs).filter(([, input]) => input)
    .map(([name, input]) => `${name} ${describe(input)}`);
  return `${op.name} of ${given.join(", ")}`;
}

function checkShape(what: string, shape: readonly number[]): void {
  if (shape.every((length) => Number.isSafeInteger(length) && length >= 0)) {
    return;
  }
  throw new MasterWeaverError(
    "gpu",
    `Shape (${
      shape.join(", ")
    }) of ${what} has a length that is no whole number of elements`,
  );
}
