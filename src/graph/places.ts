/**
 * Where each tensor of a plan lies on the GPU, and the memory that the plan
 * owns.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Bindable } from "../gpu/bind_groups.ts";
import { alignBinding, type BufferSlice } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/gpu.ts";
import {
  scratchShape,
  shapeBytes,
  type TexelShape,
  type TexelSlice,
} from "../gpu/texels.ts";
import {
  type BindingUse,
  describe,
  type Target,
  tensorBytes,
  type TensorSpec,
} from "../ops/op.ts";
import { isTexels, layoutShape } from "../ops/weight_layouts.ts";
import type { WeightRef } from "../weights/scope.ts";
import { baseOf, type Graph, type Tensor } from "./graph.ts";
import { checkShape } from "./launches.ts";
import { planMemory, takeFitting } from "./memory.ts";
import {
  inPlaceTargets,
  memoryItems,
  type OpNode,
  texelsNeeded,
} from "./schedule.ts";
import type { Variants } from "./variants.ts";
import type { WeightStore } from "./weight_store.ts";

/** A tensor on the GPU. */
export interface GpuTensor {
  /** Shape and element type. */
  readonly spec: TensorSpec;
  /** Where it lies. */
  readonly slice: BufferSlice;
}

/** What decides where tensors lie. */
export interface PlacesOptions {
  /** What is computed. */
  readonly graph: Graph;
  /** Its ops that run, in order. */
  readonly nodes: readonly OpNode[];
  /** Which way they are computed. */
  readonly variants: Variants;
  /** What the launches of an op depend on. */
  readonly targetOf: (node: OpNode) => Target;
  /** Together these hold every weight. */
  readonly weights: readonly WeightStore[];
  /** Inputs and outputs that lie in another owner's buffers, by name. */
  readonly bindings: Readonly<Record<string, GpuTensor>>;
  /** Places of a plan that never runs at the same time: intermediates may lie there. */
  readonly shares?: Places;
}

/** The places of a plan's tensors. */
export class Places implements Disposable {
  readonly #gpu: Gpu;
  readonly #options: PlacesOptions;
  readonly #places = new Map<Tensor, BufferSlice>();
  /** Inputs that stand for weights in a texture. */
  readonly #textures = new Map<Tensor, TexelSlice>();
  readonly #owned: (GPUBuffer | GPUTexture)[] = [];
  readonly #arenas: GPUBuffer[] = [];
  /** Texels of whichever op runs: `texels0`, … */
  readonly #texels: TexelSlice[] = [];
  #scratch: ReadonlyMap<Tensor, readonly BufferSlice[]> = new Map();

  private constructor(gpu: Gpu, options: PlacesOptions) {
    this.#gpu = gpu;
    this.#options = options;
  }

  /**
   * Gives every tensor a place.
   *
   * @throws {MasterWeaverError} `gpu`, `out-of-memory`
   */
  static async make(gpu: Gpu, options: PlacesOptions): Promise<Places> {
    const places = new Places(gpu, options);
    try {
      await places.#placeInputs();
      await places.#placeOutputs();
      await places.#placeIntermediates();
      await places.#placeTexels();
      return places;
    } catch (error) {
      places[Symbol.dispose]();
      throw error;
    }
  }

  /** Bytes of all it owns, and of those that intermediates share. */
  get bytes(): { readonly owned: number; readonly arena: number } {
    const bytes = (memory: readonly (GPUBuffer | GPUTexture)[]) =>
      memory.reduce((sum, each) => sum + this.#gpu.buffers.bytesOf(each), 0);
    const texels = this.#texels.map(({ texture }) => texture)
      .filter((texture) => this.#owned.includes(texture));
    return {
      owned: bytes(this.#owned),
      arena: bytes([...this.#arenas, ...texels]),
    };
  }

  /** What a launch binds under a name; null where that input is absent. */
  bindable(
    node: OpNode,
    { name, access, part }: BindingUse,
  ): Bindable | null {
    if (name.startsWith("texels")) {
      return this.#texels[Number(name.slice("texels".length))];
    }
    const tensor = name === "output" ? node : node.source.inputs[name];
    if (access === "texels") return this.texture(tensor!);
    const whole = name.startsWith("scratch")
      ? this.#scratch.get(node)![Number(name.slice("scratch".length))]
      : tensor && this.slice(tensor);
    if (!whole) return null;
    if (!part) return whole;
    const { buffer, offset } = whole;
    return { buffer, offset: offset + part.offset, size: part.size };
  }

  /** Where a weight, or an input that stands for one, lies in a texture. */
  texture(tensor: Tensor): TexelSlice {
    const base = baseOf(tensor);
    const { source } = base;
    return source.kind === "weight"
      ? this.#weight(source.ref, (store) => store.texels(source.ref))
      : this.#textures.get(base)!;
  }

  /** Where a tensor lies in a buffer. */
  slice(tensor: Tensor): BufferSlice {
    const base = baseOf(tensor);
    const { source } = base;
    if (source.kind === "weight") {
      return this.#weight(source.ref, (store) => store.slice(source.ref));
    }
    if (source.kind === "constant" && !this.#places.has(base)) {
      return this.#writeConstant(base, source.data);
    }
    return this.#places.get(base)!;
  }

  #weight<T>(
    { name }: WeightRef,
    find: (store: WeightStore) => T | undefined,
  ): T {
    for (const store of this.#options.weights) {
      const found = find(store);
      if (found) return found;
    }
    throw new MasterWeaverError("gpu", `Weight ${name} was not loaded`);
  }

  #writeConstant(tensor: Tensor, data: Float32Array): BufferSlice {
    const buffer = this.#gpu.buffers.make(
      data.byteLength,
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
      "constant",
    );
    this.#owned.push(buffer);
    this.#gpu.device.queue.writeBuffer(
      buffer,
      0,
      data as BufferSource,
    );
    const slice = { buffer, offset: 0, size: buffer.size };
    this.#places.set(tensor, slice);
    return slice;
  }

  /** Makes a buffer that is freed with the plan. */
  async own(
    bytes: number,
    usage: GPUBufferUsageFlags,
    what: string,
  ): Promise<GPUBuffer> {
    const { maxBufferSize } = this.#gpu.limits;
    if (bytes > maxBufferSize) {
      throw new MasterWeaverError(
        "out-of-memory",
        `Cannot make ${what}: ${bytes} bytes, a buffer of this adapter holds ${maxBufferSize}; ` +
          "use a smaller image or fewer images at once",
      );
    }
    const buffer = await this.#gpu.scoped(
      `${what} (${bytes} bytes)`,
      () => this.#gpu.buffers.make(bytes, usage, what),
    );
    this.#owned.push(buffer);
    return buffer;
  }

  async #ownTexels(shape: TexelShape, what: string): Promise<TexelSlice> {
    checkShape(shape, what, this.#gpu.device.limits.maxTextureDimension2D);
    const texture = await this.#gpu.scoped(
      `${what} (${shapeBytes(shape)} bytes)`,
      () => this.#gpu.buffers.makeTexture(shape, what),
    );
    this.#owned.push(texture);
    return { texture, view: texture.createView() };
  }

  async #placeInputs(): Promise<void> {
    const { graph, bindings } = this.#options;
    for (const [name, tensor] of graph.inputs) {
      const bound = bindings[name];
      if (bound) this.#bind(bound, tensor, `input ${name}`);
      else await this.#placeAlone(tensor, `input ${name}`);
    }
  }

  #bind(bound: GpuTensor, tensor: Tensor, what: string): void {
    if (describe(bound.spec) !== describe(tensor)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot bind ${describe(bound.spec)} to ${what}, which is ${
          describe(tensor)
        }`,
      );
    }
    this.#places.set(baseOf(tensor), bound.slice);
  }

  async #placeAlone(tensor: Tensor, what: string): Promise<void> {
    const layout = this.#options.variants.layout(tensor);
    if (isTexels(layout)) {
      const shape = layoutShape(tensor, layout);
      this.#textures.set(tensor, await this.#ownTexels(shape, what));
      return;
    }
    const size = tensorBytes(tensor);
    const buffer = await this.own(
      alignBinding(size),
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST |
        GPUBufferUsage.COPY_SRC,
      `${what} ${describe(tensor)}`,
    );
    this.#places.set(tensor, { buffer, offset: 0, size });
  }

  /** Outputs have buffers of their own; in-place results their input's. */
  async #placeOutputs(): Promise<void> {
    const { graph, nodes, bindings } = this.#options;
    for (const [node, target] of inPlaceTargets(nodes)) {
      this.#places.set(node, this.#places.get(target)!);
    }
    for (const [name, tensor] of graph.outputs) {
      const base = baseOf(tensor);
      if (base.source.kind !== "op" || this.#places.has(base)) continue;
      const bound = bindings[name];
      if (bound) this.#bind(bound, tensor, `output ${name}`);
      else await this.#placeAlone(base, `output ${name}`);
    }
  }

  /** Gives every other result, and scratch memory, a place by lifetime. */
  async #placeIntermediates(): Promise<void> {
    const { nodes, variants, shares } = this.#options;
    const { items, tensors, scratch } = memoryItems(
      nodes,
      (tensor) => this.#places.has(tensor),
      (node) => variants.of(node),
    );
    const { placements, arenas } = planMemory(
      items,
      this.#gpu.limits.maxBufferSize,
    );
    const lent = shares ? [...shares.#arenas] : [];
    const buffers: GPUBuffer[] = [];
    for (const bytes of arenas) {
      let buffer = takeFitting(lent, bytes);
      if (!buffer) {
        buffer = await this.own(
          bytes,
          GPUBufferUsage.STORAGE,
          "intermediates",
        );
        this.#arenas.push(buffer);
      }
      buffers.push(buffer);
    }
    const slice = (item: number, size: number): BufferSlice => ({
      buffer: buffers[placements[item].arena],
      offset: placements[item].offset,
      size,
    });
    for (const [tensor, item] of tensors) {
      this.#places.set(tensor, slice(item, tensorBytes(tensor)));
    }
    this.#scratch = new Map(
      [...scratch].map(([node, held]) => [
        node,
        held.map(({ item, bytes }) => slice(item, bytes)),
      ]),
    );
  }

  /** The textures that ops use one after the other, as large as any needs. */
  async #placeTexels(): Promise<void> {
    const { nodes, targetOf, shares } = this.#options;
    const needed = texelsNeeded(nodes, targetOf);
    const lent = shares ? shares.#texels : [];
    for (const [i, count] of needed.entries()) {
      const shape = scratchShape(count);
      const fits = lent[i]?.texture.height >= shape.height;
      this.#texels.push(
        fits ? lent[i] : await this.#ownTexels(shape, `texels${i}`),
      );
    }
  }

  /** Frees every buffer and texture it made. */
  [Symbol.dispose](): void {
    for (const memory of this.#owned.splice(0)) this.#gpu.buffers.free(memory);
  }
}
