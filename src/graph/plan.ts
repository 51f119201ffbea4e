/**
 * A graph made ready to run: buffers, pipelines and bind groups, all made once.
 * A run only replays the list of dispatches.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";
import { BindGroups } from "../gpu/bind_groups.ts";
import { alignBinding, type BufferSlice } from "../gpu/buffers.ts";
import type { Gpu, GpuLimits } from "../gpu/gpu.ts";
import { UNIFORM_WINDOW } from "../gpu/pipelines.ts";
import { readBuffers } from "../gpu/readback.ts";
import { layoutBytes, layoutWriter } from "../ops/weight_layouts.ts";
import {
  type BufferUse,
  describe,
  elementCount,
  type Launch,
  type Param,
  tensorBytes,
  type TensorSpec,
} from "../ops/op.ts";
import { baseOf, describeNode, type Graph, type Tensor } from "./graph.ts";
import { planMemory, takeFitting } from "./memory.ts";
import { type Dispatch, encodeDispatch, timeDispatches } from "./profile.ts";
import { memoryItems, neededNodes, type OpNode } from "./schedule.ts";
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

/**
 * Dispatches of one command buffer. lavapipe maps memory for each that tells
 * where its uniforms begin, and frees it when the command buffer is done; a
 * process may have 65530 maps.
 */
const MOST_A_SUBMIT = 2048;

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
  /** Bytes of the buffers that intermediates share; without those of another plan. */
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
  readonly #owned: GPUBuffer[] = [];
  readonly #dispatches: NamedDispatch[] = [];
  readonly #arenas: GPUBuffer[] = [];

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
      for (const each of launches) plan.#checkSizes(each);
      await plan.#placeInputs(options.bindings ?? {});
      await plan.#placeOutputs(nodes, options.bindings ?? {});
      const scratch = await plan.#placeIntermediates(nodes, options.shares);
      await plan.#prepare(launches, scratch);
      return plan;
    } catch (error) {
      plan[Symbol.dispose]();
      throw error;
    }
  }

  /** What the plan takes. */
  get statistics(): PlanStatistics {
    const bytes = (buffers: readonly GPUBuffer[]) =>
      buffers.reduce((sum, { size }) => sum + size, 0);
    const total = bytes(this.#owned);
    const arenaBytes = bytes(this.#arenas);
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
    const tensor = this.#graph.outputs.get(name) ??
      this.#graph.inputs.get(name);
    if (!tensor) {
      throw new MasterWeaverError("gpu", `Plan has no tensor named ${name}`);
    }
    return { spec: tensor, slice: this.#place(tensor) };
  }

  /**
   * Writes an input; it keeps its value over runs.
   *
   * @param name the input
   * @param data its elements; floats are converted to the input's type
   */
  write(name: string, data: Float32Array | Uint32Array): void {
    const { spec, slice } = this.tensor(name);
    if (data.length !== elementCount(spec.shape)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot write ${data.length} elements to ${name}, which is ${
          describe(spec)
        }`,
      );
    }
    let bytes: Float16Array | Float32Array | Uint32Array = data;
    if (spec.dtype === "f16") {
      bytes = new Float16Array(data.length + data.length % 2);
      bytes.set(data);
    }
    const write = (offset: number, part: ArrayBufferView) =>
      this.#gpu.device.queue.writeBuffer(
        slice.buffer,
        slice.offset + offset,
        part as BufferSource,
      );
    const layout = this.#variants.layout(this.#graph.inputs.get(name)!);
    if (layout === "rows") {
      write(0, bytes);
      return;
    }
    const writer = layoutWriter(spec, layout, write);
    writer.push(
      new Uint8Array(
        bytes.buffer as ArrayBuffer,
        bytes.byteOffset,
        bytes.byteLength,
      ),
    );
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
      names.map((name, i) => [name, elements(copies[i], tensors[i].spec)]),
    ) as Record<N, Float32Array | Uint32Array>;
  }

  /** Frees every buffer the plan made. */
  [Symbol.dispose](): void {
    for (const buffer of this.#owned.splice(0)) this.#gpu.buffers.free(buffer);
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

  /** Every dispatch of a run, in order. */
  #launches(nodes: readonly OpNode[]): NodeLaunch[] {
    return nodes.flatMap((node) => {
      const { op, inputs, attributes } = node.source;
      const target = {
        real: this.#graph.real,
        limits: this.#limits,
        variant: this.#variants.of(node),
      };
      return op.launch(inputs, node, attributes, target)
        .map((launch: Launch) => ({ node, launch }));
    });
  }

  /** What is bound must fit a binding, before anything is allocated. */
  #checkSizes({ node, launch }: NodeLaunch): void {
    const { maxStorageBufferBindingSize: limit } = this.#limits;
    const { op, inputs, attributes } = node.source;
    const variant = this.#variants.of(node);
    const scratch: TensorSpec[] =
      op.scratch?.(inputs, node, attributes, variant) ?? [];
    for (const { name, part } of launch.bind) {
      const spec: TensorSpec | undefined = name === "output"
        ? node
        : name.startsWith("scratch")
        ? scratch[Number(name.slice("scratch".length))]
        : inputs[name];
      if (!spec || (part?.size ?? tensorBytes(spec)) <= limit) continue;
      throw new MasterWeaverError(
        "out-of-memory",
        `Cannot place ${name} ${describe(spec)} of ${describeNode(node)}: ${
          part?.size ?? tensorBytes(spec)
        } bytes, the adapter binds at most ${limit}; ` +
          "use --dtype f16, a smaller picture or fewer images at once",
      );
    }
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
    const size = layout === "rows"
      ? tensorBytes(tensor)
      : layoutBytes(tensor, layout) + UNIFORM_WINDOW;
    const buffer = await this.#own(
      alignBinding(size),
      GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM |
        GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
      `${what} ${describe(tensor)}`,
    );
    this.#places.set(tensor, { buffer, offset: 0, size });
  }

  /** Outputs have buffers of their own; in-place results their input's. */
  async #placeOutputs(
    nodes: readonly OpNode[],
    bindings: Readonly<Record<string, GpuTensor>>,
  ): Promise<void> {
    nodes.forEach((node, i) => {
      const { op, inputs } = node.source;
      if (op.inPlace === undefined) return;
      const target = baseOf(inputs[op.inPlace]!);
      const later = nodes.slice(i + 1).find((other) =>
        Object.values(other.source.inputs).some((input) =>
          input && baseOf(input) === target
        )
      );
      if (target.source.kind !== "input" || later) {
        throw new MasterWeaverError(
          "gpu",
          `Cannot change ${describe(target)} in place by ${
            describeNode(node)
          }: ${
            later
              ? `${describeNode(later)} still reads it`
              : "it is not an input"
          }`,
        );
      }
      this.#places.set(node, this.#places.get(target)!);
    });
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
        const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM;
        buffer = await this.#own(bytes, usage, "intermediates");
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

  /** Makes pipelines, uniforms and bind groups. */
  async #prepare(
    launches: readonly NodeLaunch[],
    scratch: ReadonlyMap<Tensor, readonly BufferSlice[]>,
  ): Promise<void> {
    const nothing = await this.#own(256, GPUBufferUsage.STORAGE, "nothing");
    const uniforms = await this.#writeUniforms(
      launches.map(({ launch }) => launch),
    );
    const groups = new BindGroups(this.#gpu);
    const prepare = ({ node, launch }: NodeLaunch, i: number) => {
      const access = launch.bind.map((use) => use.access);
      const key = { ...launch, real: this.#graph.real, access };
      const slices = launch.bind.map((use) =>
        this.#slice(node, use, scratch) ??
          { buffer: nothing, offset: 0, size: 256 }
      );
      this.#dispatches.push({
        node,
        shader: launch.shader,
        pipeline: this.#gpu.pipelines.get(key),
        ...groups.bind(access, slices, uniforms[i]),
        groups: this.#fold(launch.workgroups),
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

  /** The uniforms of all launches, in one buffer. */
  async #writeUniforms(launches: readonly Launch[]): Promise<BufferSlice[]> {
    // Deno's writeBuffer panics on no bytes at all.
    if (launches.length === 0) return [];
    const sizes = launches.map(({ params }) =>
      Math.ceil(params.length / 4) * 16
    );
    const offsets: number[] = [];
    let total = 0;
    for (const size of sizes) {
      offsets.push(total);
      total += alignBinding(size);
    }
    const buffer = await this.#own(
      total,
      GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      "uniforms",
    );
    const words = new DataView(new ArrayBuffer(total));
    launches.forEach(({ params }, i) =>
      params.forEach((param: Param, word) => {
        const at = offsets[i] + 4 * word;
        if (typeof param === "number") words.setUint32(at, param, true);
        else words.setFloat32(at, param.f32, true);
      })
    );
    this.#gpu.device.queue.writeBuffer(buffer, 0, words.buffer);
    return sizes.map((size, i) => ({ buffer, offset: offsets[i], size }));
  }

  /** What a launch binds under a name; null where that input is absent. */
  #slice(
    node: OpNode,
    { name, part }: BufferUse,
    scratch: ReadonlyMap<Tensor, readonly BufferSlice[]>,
  ): BufferSlice | null {
    const tensor = name === "output" ? node : node.source.inputs[name];
    const whole = name.startsWith("scratch")
      ? scratch.get(node)![Number(name.slice("scratch".length))]
      : tensor && this.#place(tensor);
    if (!whole) return null;
    if (!part) return whole;
    const { buffer, offset } = whole;
    return { buffer, offset: offset + part.offset, size: part.size };
  }

  #place(tensor: Tensor): BufferSlice {
    const base = baseOf(tensor);
    const { source } = base;
    if (source.kind === "weight") return this.#weight(source.ref);
    if (source.kind === "constant" && !this.#places.has(base)) {
      return this.#writeConstant(base, source.data);
    }
    return this.#places.get(base)!;
  }

  #weight(ref: WeightRef): BufferSlice {
    for (const store of this.#weights) {
      const slice = store.slice(ref);
      if (slice) return slice;
    }
    throw new MasterWeaverError("gpu", `Weight ${ref.name} was not loaded`);
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

  /** Workgroups over two axes, as `group_index` of the prelude reads them. */
  #fold(workgroups: number): readonly [number, number] {
    const limit = this.#gpu.limits.maxComputeWorkgroupsPerDimension;
    const rows = Math.ceil(workgroups / limit);
    return rows <= 1 ? [workgroups, 1] : [Math.ceil(workgroups / rows), rows];
  }
}

function elements(
  bytes: ArrayBuffer,
  spec: TensorSpec,
): Float32Array | Uint32Array {
  if (spec.dtype === "u32") return new Uint32Array(bytes);
  if (spec.dtype === "f32") return new Float32Array(bytes);
  return new Float32Array(new Float16Array(bytes));
}
