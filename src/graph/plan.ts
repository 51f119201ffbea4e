/**
 * A graph made ready to run: buffers, pipelines and bind groups, all made once.
 * A run only replays the list of dispatches.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";
import { type Bindable, BindGroups } from "../gpu/bind_groups.ts";
import { alignBinding, type BufferSlice } from "../gpu/buffers.ts";
import type { Gpu, GpuLimits } from "../gpu/gpu.ts";
import { readBuffers } from "../gpu/readback.ts";
import {
  scratchShape,
  shapeBytes,
  type TexelShape,
  type TexelSlice,
  writeTexels,
} from "../gpu/texels.ts";
import { isTexels, layoutShape, layoutWriter } from "../ops/weight_layouts.ts";
import {
  type BindingUse,
  describe,
  elementCount,
  type Launch,
  type Target,
  tensorBytes,
  type TensorSpec,
} from "../ops/op.ts";
import { baseOf, describeNode, type Graph, type Tensor } from "./graph.ts";
import { fromBytes, toBytes } from "./elements.ts";
import {
  checkBindings,
  checkShape,
  foldGroups,
  packParams,
} from "./launches.ts";
import { planMemory, takeFitting } from "./memory.ts";
import {
  type Dispatch,
  encodeDispatch,
  MOST_A_SUBMIT,
  timeDispatches,
  timeRuns,
  type TimeSpan,
} from "./profile.ts";
import {
  inPlaceTargets,
  memoryItems,
  neededNodes,
  type OpNode,
  texelsNeeded,
} from "./schedule.ts";
import type { WeightRef } from "../weights/scope.ts";
import { Variants } from "./variants.ts";
import type { WeightStore } from "./weight_store.ts";

/** A tensor on the GPU. */
export interface GpuTensor {
  /** Shape and element type. */
  readonly spec: TensorSpec;
  /** Where it lies. */
  readonly slice: BufferSlice;
}

/** What a plan is made from beside its graph. */
export interface PlanOptions {
  /** Together these hold every weight of the graph. */
  readonly weights?: readonly WeightStore[];
  /** Inputs and outputs that lie in another owner's buffers, by name. */
  readonly bindings?: Readonly<Record<string, GpuTensor>>;
  /** Which way ops are computed; the one that runs everywhere where not given. */
  readonly variants?: Variants;
  /** A plan that lives as long and never runs at the same time: its intermediates' memory serves both. */
  readonly shares?: Plan;
  /** Tighter limits than the device's own; for tests. */
  readonly limits?: GpuLimits;
}

/** A dispatch, and what it is for. */
interface NamedDispatch extends Dispatch {
  readonly node: Tensor;
  readonly shader: string;
}

/** A launch, and the op it belongs to. */
interface NodeLaunch {
  readonly node: OpNode;
  readonly launch: Launch;
}

/** What a plan takes, for reports. */
export interface PlanStatistics {
  /** Dispatches a run. */
  readonly dispatches: number;
  /** Bytes of the buffers and textures that intermediates share; without those of another plan. */
  readonly arenaBytes: number;
  /** Bytes of inputs, outputs, constants and uniforms the plan owns. */
  readonly ownBytes: number;
}

/** A graph on the GPU. */
export class Plan implements Disposable {
  readonly #gpu: Gpu;
  readonly #graph: Graph;
  readonly #weights: readonly WeightStore[];
  readonly #limits: GpuLimits;
  readonly #variants: Variants;
  readonly #places = new Map<Tensor, BufferSlice>();
  /** Inputs that stand for weights in a texture. */
  readonly #textures = new Map<Tensor, TexelSlice>();
  readonly #owned: (GPUBuffer | GPUTexture)[] = [];
  readonly #dispatches: NamedDispatch[] = [];
  readonly #arenas: GPUBuffer[] = [];
  /** Texels of whichever op runs: `texels0`, … */
  readonly #texels: TexelSlice[] = [];

  private constructor(
    gpu: Gpu,
    graph: Graph,
    { weights = [], limits = gpu.limits, variants }: PlanOptions,
  ) {
    this.#gpu = gpu;
    this.#graph = graph;
    this.#weights = weights;
    this.#limits = limits;
    this.#variants = variants ?? new Variants(graph);
  }

  /**
   * Makes everything a run needs.
   *
   * @param gpu the device
   * @param graph what to compute; ops that no output needs are left out
   * @param options weights, and inputs that live elsewhere
   * @throws {MasterWeaverError} `gpu`, `out-of-memory`
   */
  static async make(
    gpu: Gpu,
    graph: Graph,
    options: PlanOptions = {},
  ): Promise<Plan> {
    const plan = new Plan(gpu, graph, options);
    try {
      const nodes = neededNodes(graph);
      const launches = plan.#launches(nodes);
      for (const { node, launch } of launches) {
        checkBindings(node, launch, plan.#target(node));
      }
      await plan.#placeInputs(options.bindings ?? {});
      await plan.#placeOutputs(nodes, options.bindings ?? {});
      const scratch = await plan.#placeIntermediates(nodes, options.shares);
      await plan.#placeTexels(nodes, options.shares);
      await plan.#prepare(launches, scratch);
      return plan;
    } catch (error) {
      plan[Symbol.dispose]();
      throw error;
    }
  }

  /** What the plan takes. */
  get statistics(): PlanStatistics {
    const bytes = (memory: readonly (GPUBuffer | GPUTexture)[]) =>
      memory.reduce((sum, each) => sum + this.#gpu.buffers.bytesOf(each), 0);
    const total = bytes(this.#owned);
    const texels = this.#texels.map(({ texture }) => texture)
      .filter((texture) => this.#owned.includes(texture));
    const arenaBytes = bytes([...this.#arenas, ...texels]);
    return {
      dispatches: this.#dispatches.length,
      arenaBytes,
      ownBytes: total - arenaBytes,
    };
  }

  /** Each dispatch's op, shader and workgroups, in order; for the bench. */
  get listing(): readonly { node: Tensor; shader: string; groups: number }[] {
    return this.#dispatches.map(({ node, shader, groups }) => ({
      node,
      shader,
      groups: groups[0] * groups[1],
    }));
  }

  /** An input or output on the GPU, to be bound to another plan. */
  tensor(name: string): GpuTensor {
    const tensor = this.#named(name);
    return { spec: tensor, slice: this.#place(tensor) };
  }

  #named(name: string): Tensor {
    const tensor = this.#graph.outputs.get(name) ??
      this.#graph.inputs.get(name);
    if (tensor) return tensor;
    throw new MasterWeaverError("gpu", `Plan has no tensor named ${name}`);
  }

  /**
   * Writes an input; it keeps its value over runs.
   *
   * @param name the input
   * @param data its elements; floats are converted to the input's type
   */
  write(name: string, data: Float32Array | Uint32Array): void {
    const tensor = this.#named(name);
    if (data.length !== elementCount(tensor.shape)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot write ${data.length} elements to ${name}, which is ${
          describe(tensor)
        }`,
      );
    }
    const bytes = toBytes(data, tensor.dtype);
    const { queue } = this.#gpu.device;
    const texels = this.#textures.get(baseOf(tensor));
    if (!texels) {
      const { buffer, offset } = this.#place(tensor);
      queue.writeBuffer(buffer, offset, bytes);
      return;
    }
    const writer = layoutWriter(
      tensor,
      this.#variants.layout(tensor),
      (start, part) => writeTexels(queue, texels.texture, start, part),
    );
    writer.push(bytes);
    writer.finish();
  }

  /**
   * Copies another tensor's bytes to an input, on the GPU.
   *
   * @param name the input
   * @param from where to copy from; as long as the input
   */
  copy(name: string, from: BufferSlice): void {
    const { slice } = this.tensor(name);
    const encoder = this.#gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(
      from.buffer,
      from.offset,
      slice.buffer,
      slice.offset,
      slice.size,
    );
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Queues one run; returns before the GPU is done. */
  run(): void {
    const { device } = this.#gpu;
    for (let at = 0; at < this.#dispatches.length;) {
      const end = Math.min(at + MOST_A_SUBMIT, this.#dispatches.length);
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      while (at < end) encodeDispatch(pass, this.#dispatches[at++]);
      pass.end();
      device.queue.submit([encoder.finish()]);
    }
  }

  /**
   * Times each dispatch on the GPU's own clock, in one run.
   *
   * @returns milliseconds, in the order of {@linkcode listing}
   * @throws {MasterWeaverError} `gpu` where the adapter has no timestamps
   */
  async profile(): Promise<number[]> {
    return await timeDispatches(this.#gpu, this.#dispatches);
  }

  /** As {@linkcode profile}, some runs one after the other as a whole. */
  async timeRuns(runs: number): Promise<TimeSpan> {
    return await timeRuns(this.#gpu, this.#dispatches, runs);
  }

  /**
   * Waits for the GPU and reads outputs back, all in one copy.
   *
   * @param names the outputs
   * @returns their elements as f32, or as they are where they are u32
   * @throws {MasterWeaverError} `device-lost`, `gpu`, `out-of-memory`
   */
  async read<N extends string>(
    ...names: N[]
  ): Promise<Record<N, Float32Array | Uint32Array>> {
    const tensors = names.map((name) => this.tensor(name));
    const copies = await readBuffers(
      this.#gpu,
      tensors.map(({ slice }) => slice),
    );
    return Object.fromEntries(
      names.map((name, i) => [
        name,
        fromBytes(copies[i], tensors[i].spec.dtype),
      ]),
    ) as Record<N, Float32Array | Uint32Array>;
  }

  /** Frees every buffer and texture the plan made. */
  [Symbol.dispose](): void {
    for (const memory of this.#owned.splice(0)) this.#gpu.buffers.free(memory);
    this.#dispatches.length = 0;
  }

  async #own(
    bytes: number,
    usage: GPUBufferUsageFlags,
    what: string,
  ): Promise<GPUBuffer> {
    const { maxBufferSize } = this.#gpu.limits;
    if (bytes > maxBufferSize) {
      throw new MasterWeaverError(
        "out-of-memory",
        `Cannot make ${what}: ${bytes} bytes, a buffer of this adapter holds ${maxBufferSize}; ` +
          "use a smaller picture or fewer images at once",
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

  /** What the launches of an op depend on. */
  #target(node: OpNode): Target {
    return {
      real: this.#graph.real,
      limits: this.#limits,
      variant: this.#variants.of(node),
    };
  }

  /** Every dispatch of a run, in order. */
  #launches(nodes: readonly OpNode[]): NodeLaunch[] {
    return nodes.flatMap((node) => {
      const { op, inputs, attributes } = node.source;
      return op.launch(inputs, node, attributes, this.#target(node))
        .map((launch: Launch) => ({ node, launch }));
    });
  }

  async #placeInputs(
    bindings: Readonly<Record<string, GpuTensor>>,
  ): Promise<void> {
    for (const [name, tensor] of this.#graph.inputs) {
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
    const layout = this.#variants.layout(tensor);
    if (isTexels(layout)) {
      const shape = layoutShape(tensor, layout);
      this.#textures.set(tensor, await this.#ownTexels(shape, what));
      return;
    }
    const size = tensorBytes(tensor);
    const buffer = await this.#own(
      alignBinding(size),
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST |
        GPUBufferUsage.COPY_SRC,
      `${what} ${describe(tensor)}`,
    );
    this.#places.set(tensor, { buffer, offset: 0, size });
  }

  /** Outputs have buffers of their own; in-place results their input's. */
  async #placeOutputs(
    nodes: readonly OpNode[],
    bindings: Readonly<Record<string, GpuTensor>>,
  ): Promise<void> {
    for (const [node, target] of inPlaceTargets(nodes)) {
      this.#places.set(node, this.#places.get(target)!);
    }
    for (const [name, tensor] of this.#graph.outputs) {
      const base = baseOf(tensor);
      if (base.source.kind !== "op" || this.#places.has(base)) continue;
      const bound = bindings[name];
      if (bound) this.#bind(bound, tensor, `output ${name}`);
      else await this.#placeAlone(base, `output ${name}`);
    }
  }

  /** Gives every other result, and scratch memory, a place by lifetime. */
  async #placeIntermediates(
    nodes: readonly OpNode[],
    shares?: Plan,
  ): Promise<Map<Tensor, BufferSlice[]>> {
    const { items, tensors, scratch } = memoryItems(
      nodes,
      (tensor) => this.#places.has(tensor),
      (node) => this.#variants.of(node),
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
        buffer = await this.#own(
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
    return new Map(
      [...scratch].map(([node, held]) => [
        node,
        held.map(({ item, bytes }) => slice(item, bytes)),
      ]),
    );
  }

  /** The textures that ops use one after the other, as large as any needs. */
  async #placeTexels(
    nodes: readonly OpNode[],
    shares?: Plan,
  ): Promise<void> {
    const needed = texelsNeeded(nodes, (node) => this.#target(node));
    const lent = shares ? shares.#texels : [];
    for (const [i, count] of needed.entries()) {
      const shape = scratchShape(count);
      const fits = lent[i]?.texture.height >= shape.height;
      this.#texels.push(
        fits ? lent[i] : await this.#ownTexels(shape, `texels${i}`),
      );
    }
  }

  /** Makes pipelines, uniforms and bind groups. */
  async #prepare(
    launches: readonly NodeLaunch[],
    scratch: ReadonlyMap<Tensor, readonly BufferSlice[]>,
  ): Promise<void> {
    const nothing = await this.#own(256, GPUBufferUsage.STORAGE, "nothing");
    const params = await this.#writeParams(
      launches.map(({ launch }) => launch),
    );
    const groups = new BindGroups(this.#gpu);
    const prepare = ({ node, launch }: NodeLaunch, i: number) => {
      const access = launch.bind.map((use) => use.access);
      const key = { ...launch, real: this.#graph.real, access };
      const bound = launch.bind.map((use) =>
        this.#bindable(node, use, scratch) ??
          { buffer: nothing, offset: 0, size: 256 }
      );
      this.#dispatches.push({
        node,
        shader: launch.shader,
        pipeline: this.#gpu.pipelines.get(key),
        bindGroup: groups.bind(access, bound, params[i]),
        offsets: [params[i].offset],
        groups: foldGroups(launch.workgroups, this.#gpu.limits),
      });
    };
    // One op may be hundreds of launches: errors are asked for once an op.
    for (let i = 0; i < launches.length;) {
      const { node } = launches[i];
      let end = i;
      while (end < launches.length && launches[end].node === node) end++;
      const from = i;
      await this.#gpu.scoped(
        describeNode(node),
        () =>
          launches.slice(from, end).forEach((launch, j) =>
            prepare(launch, from + j)
          ),
      );
      i = end;
    }
  }

  /** The parameters of all launches, in one buffer. */
  async #writeParams(launches: readonly Launch[]): Promise<BufferSlice[]> {
    // Deno's writeBuffer panics on no bytes at all.
    if (launches.length === 0) return [];
    const { bytes, places } = packParams(launches);
    const buffer = await this.#own(
      bytes.byteLength,
      GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      "parameters",
    );
    this.#gpu.device.queue.writeBuffer(buffer, 0, bytes);
    return places.map((place) => ({ buffer, ...place }));
  }

  /** What a launch binds under a name; null where that input is absent. */
  #bindable(
    node: OpNode,
    { name, access, part }: BindingUse,
    scratch: ReadonlyMap<Tensor, readonly BufferSlice[]>,
  ): Bindable | null {
    if (name.startsWith("texels")) {
      return this.#texels[Number(name.slice("texels".length))];
    }
    const tensor = name === "output" ? node : node.source.inputs[name];
    if (access === "texels") return this.#texture(tensor!);
    const whole = name.startsWith("scratch")
      ? scratch.get(node)![Number(name.slice("scratch".length))]
      : tensor && this.#place(tensor);
    if (!whole) return null;
    if (!part) return whole;
    const { buffer, offset } = whole;
    return { buffer, offset: offset + part.offset, size: part.size };
  }

  /** A weight in a texture. */
  #texture(tensor: Tensor): TexelSlice {
    const base = baseOf(tensor);
    const { source } = base;
    return source.kind === "weight"
      ? this.#weight(source.ref, (store) => store.texels(source.ref))
      : this.#textures.get(base)!;
  }

  #place(tensor: Tensor): BufferSlice {
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
    for (const store of this.#weights) {
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
}
