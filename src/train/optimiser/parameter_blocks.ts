/**
 * The trained parameters on the GPU, with their gradients, moments and mean.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { readBuffers } from "../../gpu/readback.ts";
import type { GpuTensor } from "../../graph/plan.ts";
import { GpuTensors } from "../../graph/tensors.ts";
import { describe, elementCount, type TensorSpec } from "../../ops/op.ts";
import {
  BLOCK_BYTES,
  type BlockLayout,
  layOutParameters,
  type ParameterPlace,
  type TrainedParameter,
} from "./parameter_layout.ts";

/** What there is of every parameter; the average only where it is kept. */
export type BlockKind =
  | "parameters"
  | "gradients"
  | "firstMoments"
  | "secondMoments"
  | "average";

/** Bytes of an f32. */
const WORD = 4;

/** How {@linkcode ParameterBlocks} are made. */
export interface ParameterBlocksOptions {
  /** Whether a running mean of the parameters is kept; `false` by default. */
  readonly average?: boolean;
  /** Most bytes of a block; 64 MiB by default. */
  readonly blockBytes?: number;
}

/**
 * Trained parameters in f32, each a slice of a block that the optimiser updates as
 * a whole. Everything is zero until it is written; the padding between slices
 * stays zero.
 */
export class ParameterBlocks implements Disposable {
  /** What lies where; of one length and order for every kind. */
  readonly layout: readonly BlockLayout[];
  /** What there is of every parameter. */
  readonly kinds: readonly BlockKind[];
  readonly #gpu: Gpu;
  readonly #tensors: GpuTensors;
  readonly #places = new Map<
    string,
    { readonly block: number; readonly place: ParameterPlace }
  >();

  private constructor(
    gpu: Gpu,
    layout: readonly BlockLayout[],
    kinds: readonly BlockKind[],
    tensors: GpuTensors,
  ) {
    this.#gpu = gpu;
    this.layout = layout;
    this.kinds = kinds;
    this.#tensors = tensors;
    layout.forEach(({ places }, block) =>
      places.forEach((place) => this.#places.set(place.name, { block, place }))
    );
  }

  /**
   * Lays the parameters out and makes their memory, filled with zeros.
   *
   * @throws {MasterWeaverError} `bad-option`; `out-of-memory`, also for a parameter that the adapter cannot bind
   */
  static async make(
    gpu: Gpu,
    parameters: readonly TrainedParameter[],
    options: ParameterBlocksOptions = {},
  ): Promise<ParameterBlocks> {
    const { average = false, blockBytes = BLOCK_BYTES } = options;
    const layout = layOutParameters(parameters, blockBytes);
    checkSizes(gpu, layout);
    const kinds: readonly BlockKind[] = [
      "parameters",
      "gradients",
      "firstMoments",
      "secondMoments",
      ...average ? ["average"] as const : [],
    ];
    const specs: Record<string, TensorSpec> = {};
    for (const kind of kinds) {
      layout.forEach(({ bytes }, block) => {
        specs[blockName(block, kind)] = { shape: [bytes / WORD], dtype: "f32" };
      });
    }
    const tensors = await GpuTensors.make(gpu, specs);
    return new ParameterBlocks(gpu, layout, kinds, tensors);
  }

  /** Names of the parameters, block by block. */
  get names(): readonly string[] {
    return [...this.#places.keys()];
  }

  /** Bytes on the GPU. */
  get bytes(): number {
    return this.kinds.length *
      this.layout.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A whole block, with its padding. */
  block(block: number, kind: BlockKind): GpuTensor {
    this.#require(kind);
    return this.#tensors.bindings[blockName(block, kind)];
  }

  /** One parameter's slice, to be bound to an input or output of a graph. */
  slice(name: string, kind: BlockKind): GpuTensor {
    const { block, place } = this.#place(name);
    const { slice: { buffer, offset } } = this.block(block, kind);
    return {
      spec: place.spec,
      slice: { buffer, offset: offset + place.offset, size: place.bytes },
    };
  }

  /**
   * Sets a parameter to its first values, and the running mean, if there is one.
   *
   * @throws {MasterWeaverError} `bad-option` if there is no such parameter or it has another size
   */
  start(name: string, values: Float32Array): void {
    this.write(name, values);
    if (this.kinds.includes("average")) this.write(name, values, "average");
  }

  /**
   * Writes what there is of a parameter.
   *
   * @throws {MasterWeaverError} `bad-option` if there is no such parameter or it has another size
   */
  write(
    name: string,
    values: Float32Array,
    kind: BlockKind = "parameters",
  ): void {
    this.#require(kind);
    const { block, place } = this.#place(name);
    if (values.length !== elementCount(place.spec.shape)) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write ${values.length} elements to the parameter ${name}, which is ${
          describe(place.spec)
        }`,
      );
    }
    this.#tensors.write(blockName(block, kind), values, place.offset / WORD);
  }

  /**
   * Reads what there is of every parameter, for a checkpoint.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`, `out-of-memory`
   */
  async read(kind: BlockKind): Promise<Map<string, Float32Array>> {
    const values = new Map<string, Float32Array>();
    // A block at a time: the copy in between is then no larger than one.
    for (const [block, { places }] of this.layout.entries()) {
      const flat = await this.readBlock(block, kind);
      for (const { name, offset, bytes } of places) {
        const first = offset / WORD;
        values.set(name, flat.slice(first, first + bytes / WORD));
      }
    }
    return values;
  }

  /**
   * Reads a block with its padding.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`, `out-of-memory`
   */
  async readBlock(block: number, kind: BlockKind): Promise<Float32Array> {
    const { slice } = this.block(block, kind);
    const [bytes] = await readBuffers(this.#gpu, [slice]);
    return new Float32Array(bytes);
  }

  /** Writes a block as {@linkcode readBlock} gave it; its padding must be zero. */
  writeBlock(block: number, kind: BlockKind, values: Float32Array): void {
    this.#require(kind);
    this.#tensors.write(blockName(block, kind), values);
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    this.#tensors[Symbol.dispose]();
  }

  #place(name: string) {
    const found = this.#places.get(name);
    if (found) return found;
    throw new MasterWeaverError(
      "bad-option",
      `Found no trained parameter named ${name}: there are ${this.#places.size}, the first is ${
        this.names[0]
      }`,
    );
  }

  #require(kind: BlockKind): void {
    if (this.kinds.includes(kind)) return;
    throw new MasterWeaverError(
      "bad-option",
      `Found no ${kind} of the parameters: make the blocks with it`,
    );
  }
}

function blockName(block: number, kind: BlockKind): string {
  return `${kind} ${block}`;
}

/** Requires that every block can be made and bound. */
function checkSizes({ limits }: Gpu, layout: readonly BlockLayout[]): void {
  const most = Math.min(
    limits.maxStorageBufferBindingSize,
    limits.maxBufferSize,
  );
  for (const { bytes, places } of layout) {
    if (bytes <= most) continue;
    const [{ name, spec }] = places;
    throw new MasterWeaverError(
      "out-of-memory",
      places.length > 1
        ? `Cannot make a block of ${bytes} bytes: this adapter binds at most ${most}; use a smaller blockBytes`
        : `Cannot train the parameter ${name} ${
          describe(spec)
        }: ${bytes} bytes, but this adapter binds at most ${most}; leave it frozen`,
    );
  }
}
