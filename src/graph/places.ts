/**
 * The place of each of a plan's tensors on the GPU, and the memory the plan owns.
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
  type Binding,
  describe,
  tensorBytes,
  type TensorSpec,
} from "../ops/op.ts";
import { isTexels, layoutShape } from "../ops/weights/layouts.ts";
import {
  baseOf,
  type Graph,
  type ParameterSource,
  type Tensor,
} from "./graph.ts";
import type { KernelChoice } from "./kernel_choice.ts";
import { checkShape } from "./launch_checks.ts";
import type { Step } from "./lowering.ts";
import { planMemory, takeFitting } from "./memory.ts";
import { memoryItems, textureNeeds } from "./memory_needs.ts";
import { rootOf } from "./schedule.ts";
import type { WeightDtype } from "../weights/source.ts";
import type { WeightStore } from "./weight_store.ts";

/** A tensor on the GPU. */
export interface GpuTensor {
  /** Shape and element type. */
  readonly spec: TensorSpec;
  /** Where it is stored. */
  readonly slice: BufferSlice;
}

/** What {@linkcode Places} needs to place tensors. */
export interface PlacesOptions {
  /** The graph. */
  readonly graph: Graph;
  /** Its steps, in order. */
  readonly steps: readonly Step[];
  /** Its kernels, which decide the layout of its parameters. */
  readonly choice: KernelChoice;
  /** Together these hold every parameter. */
  readonly weights: readonly WeightStore[];
  /** Inputs and outputs that are stored in another owner's buffers, by name. */
  readonly bindings: Readonly<Record<string, GpuTensor>>;
  /** Places of a plan that never runs at the same time, whose intermediates' memory is reused. */
  readonly shares?: Places;
}

/** The places of a plan's tensors. */
export class Places implements Disposable {
  readonly #gpu: Gpu;
  readonly #options: PlacesOptions;
  readonly #places = new Map<Tensor, BufferSlice>();
  /** Packed tensors, and inputs used as weights that are stored in a texture. */
  readonly #textures = new Map<Tensor, TexelSlice>();
  readonly #owned: (GPUBuffer | GPUTexture)[] = [];
  readonly #arenas: GPUBuffer[] = [];
  /** The textures that steps use in turn. */
  readonly #shared: TexelSlice[] = [];
  /** Scratch of each step, by the kernel's names for it. */
  readonly #scratch = new Map<Step, Map<string, Bindable>>();

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
      await places.#placeTextures();
      return places;
    } catch (error) {
      places[Symbol.dispose]();
      throw error;
    }
  }

  /** Bytes of everything it owns, and of what intermediates and scratch share. */
  get bytes(): { readonly owned: number; readonly arena: number } {
    const bytes = (owned: readonly (GPUBuffer | GPUTexture)[]) =>
      owned.reduce((sum, memory) => sum + this.#gpu.buffers.bytesOf(memory), 0);
    const texels = this.#shared.map(({ texture }) => texture)
      .filter((texture) => this.#owned.includes(texture));
    return {
      owned: bytes(this.#owned),
      arena: bytes([...this.#arenas, ...texels]),
    };
  }

  /** What a launch binds; null if the operand is absent. */
  bindable(step: Step, binding: Binding): Bindable | null {
    if ("absent" in binding) return null;
    const whole = this.#operand(step, binding);
    if (!whole || !binding.slice || "texture" in whole) return whole;
    const { buffer, offset } = whole;
    const { slice } = binding;
    return { buffer, offset: offset + slice.offset, size: slice.size };
  }

  #operand(
    step: Step,
    binding: Exclude<Binding, { absent: true }>,
  ): Bindable | null {
    if ("scratch" in binding) {
      return this.#scratch.get(step)!.get(binding.scratch)!;
    }
    const tensor = "input" in binding
      ? step.operands[binding.input]
      : step.node.outputs[binding.output];
    if (!tensor) return null;
    const isTexture = binding.access === "read texels" ||
      binding.access === "write texels";
    return isTexture ? this.texture(tensor) : this.slice(tensor);
  }

  /** The texture of a weight, an input used as one, or a packed tensor. */
  texture(tensor: Tensor): TexelSlice {
    const base = baseOf(tensor);
    const { source } = base;
    return source.kind === "parameter"
      ? this.#parameter(base, source, "texture")
      : this.#textures.get(base)!;
  }

  /** The place of a tensor in a buffer. */
  slice(tensor: Tensor): BufferSlice {
    const base = baseOf(tensor);
    const { source } = base;
    if (source.kind === "parameter") {
      return this.#parameter(base, source, "buffer");
    }
    if (source.kind === "constant" && !this.#places.has(base)) {
      return this.#writeConstant(base, source.data);
    }
    return this.#places.get(base)!;
  }

  #parameter<T extends "buffer" | "texture">(
    tensor: Tensor,
    { ref, trainable }: ParameterSource,
    memory: T,
  ): T extends "buffer" ? BufferSlice : TexelSlice {
    const layout = this.#options.choice.layout(tensor);
    const dtype = tensor.dtype as WeightDtype;
    const wanted = { ref, dtype, trainable, layout };
    for (const store of this.#options.weights) {
      const found = store.find(wanted);
      if (found && memory in found) return found as never;
    }
    throw new MasterWeaverError(
      "gpu",
      `Weight ${ref.name} was not loaded as ${tensor.dtype} in ${layout}`,
    );
  }

  #writeConstant(tensor: Tensor, data: Float32Array): BufferSlice {
    const buffer = this.#gpu.buffers.make(
      data.byteLength,
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST |
        GPUBufferUsage.COPY_SRC,
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
        `Cannot make ${what}: ${bytes} bytes, but this adapter's buffers hold at most ${maxBufferSize}; ` +
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
      if (!bound && graph.outputs.has(name)) {
        throw new MasterWeaverError(
          "gpu",
          `Graph has an input and an output named ${name}: bind both to one tensor, or rename one`,
        );
      }
      if (bound) this.#bind(bound, tensor, `input ${name}`);
      else await this.#placeAlone(tensor, `input ${name}`);
    }
  }

  #bind(
    bound: GpuTensor,
    base: Tensor,
    what: string,
    tensor: Tensor = base,
  ): void {
    if (isTexels(this.#options.choice.layout(base))) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot bind ${what}: its kernel reads it from a texture, expected an input that no op uses as its weight`,
      );
    }
    if (describe(bound.spec) !== describe(tensor)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot bind ${describe(bound.spec)} to ${what}, which is ${
          describe(tensor)
        }`,
      );
    }
    this.#places.set(base, bound.slice);
  }

  /** Requires that an output which has a place already has the one it is bound to. */
  #requirePlace({ slice }: GpuTensor, root: Tensor, name: string): void {
    const { buffer, offset } = this.slice(root);
    if (buffer === slice.buffer && offset === slice.offset) return;
    throw new MasterWeaverError(
      "gpu",
      `Cannot bind output ${name}: it shares the memory of another input, output or parameter; copy it by a view`,
    );
  }

  async #placeAlone(tensor: Tensor, what: string): Promise<void> {
    const layout = this.#options.choice.layout(tensor);
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

  /** Gives outputs buffers of their own, unless they overwrite an input or parameter. */
  async #placeOutputs(): Promise<void> {
    const { graph, steps, bindings } = this.#options;
    for (const [name, tensor] of graph.outputs) {
      const root = rootOf(tensor);
      const bound = bindings[name];
      if (root.source.kind !== "op" || this.#places.has(root)) {
        if (bound) this.#requirePlace(bound, root, name);
        continue;
      }
      if (bound) this.#bind(bound, root, `output ${name}`, tensor);
      else await this.#placeAlone(root, `output ${name}`);
    }
    for (const { node } of steps) {
      for (const output of Object.values(node.outputs)) {
        const root = rootOf(output);
        if (root === output) continue;
        const place = root.source.kind === "parameter"
          ? this.slice(root)
          : this.#places.get(root);
        if (place) this.#places.set(output, place);
      }
    }
  }

  /** Gives intermediates and scratch buffers places in the arenas, by lifetime. */
  async #placeIntermediates(): Promise<void> {
    const { steps, shares } = this.#options;
    const { items, tensors, scratch } = memoryItems(
      steps,
      (root) => root.source.kind === "parameter" || this.#places.has(root),
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
    const slice = (item: number, spec: TensorSpec): BufferSlice => ({
      buffer: buffers[placements[item].arena],
      offset: placements[item].offset,
      size: tensorBytes(spec),
    });
    for (const [tensor, item] of tensors) {
      this.#places.set(tensor, slice(item, tensor));
    }
    for (const [step, held] of scratch) {
      const places = this.#scratchOf(step);
      for (const [name, item] of held) {
        places.set(name, slice(item, step.scratch[name] as TensorSpec));
      }
    }
  }

  /** Makes the textures that steps use in turn, each large enough for all its users. */
  async #placeTextures(): Promise<void> {
    const { steps, shares } = this.#options;
    const { texels, tensors, scratch } = textureNeeds(steps);
    const lent = shares ? shares.#shared : [];
    for (const [i, count] of texels.entries()) {
      const shape = scratchShape(count);
      const fits = lent[i]?.texture.height >= shape.height;
      this.#shared.push(
        fits ? lent[i] : await this.#ownTexels(shape, `texels ${i}`),
      );
    }
    for (const [tensor, i] of tensors) {
      this.#textures.set(tensor, this.#shared[i]);
    }
    for (const [step, held] of scratch) {
      const places = this.#scratchOf(step);
      for (const [name, i] of held) places.set(name, this.#shared[i]);
    }
  }

  #scratchOf(step: Step): Map<string, Bindable> {
    let places = this.#scratch.get(step);
    if (!places) this.#scratch.set(step, places = new Map());
    return places;
  }

  /** Frees every buffer and texture made here. */
  [Symbol.dispose](): void {
    for (const memory of this.#owned.splice(0)) this.#gpu.buffers.free(memory);
  }
}
