/**
 * A graph prepared to run: its buffers, pipelines and bind groups are made once,
 * and a run only replays the list of dispatches.
 *
 * @module
 */
import type { Pauser } from "../base/pauser.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { BindGroups } from "../gpu/bind_groups.ts";
import { BINDING_ALIGNMENT, type BufferSlice } from "../gpu/buffers.ts";
import { encodeDispatch, foldGroups } from "../gpu/dispatches.ts";
import type { Gpu, GpuLimits } from "../gpu/gpu.ts";
import {
  MAX_SUBMIT_DISPATCHES,
  type Pace,
  type PacedDispatch,
} from "../gpu/pace.ts";
import { readBuffers } from "../gpu/readback.ts";
import { writeTexels } from "../gpu/texels.ts";
import { describe, elementCount, type Launch } from "../ops/op.ts";
import { isTexels, layoutWriter } from "../ops/weights/layouts.ts";
import { describeNode, type Graph, type OpNode, type Tensor } from "./graph.ts";
import { fromBytes, toBytes } from "./elements.ts";
import { KernelChoice } from "./kernel_choice.ts";
import { checkBindings, launchWork } from "./launch_checks.ts";
import { launchesOf, lower, type Step } from "./lowering.ts";
import { type GpuTensor, Places } from "./places.ts";
import { timeDispatches, timeRuns, type TimeSpan } from "./profile.ts";
import { packParams } from "./uniforms.ts";
import type { WeightStore } from "./weight_store.ts";

export type { GpuTensor } from "./places.ts";

/** What a plan is made from, besides its graph. */
export interface PlanOptions {
  /** Together these hold every parameter of the graph. */
  readonly weights?: readonly WeightStore[];
  /** Inputs and outputs that are stored in another owner's buffers, by name. */
  readonly bindings?: Readonly<Record<string, GpuTensor>>;
  /** The kernels of the graph's ops; the baseline by default. */
  readonly kernels?: KernelChoice;
  /** A plan that lives at least as long and never runs at the same time: its intermediates' memory is reused. */
  readonly shares?: Plan;
  /** Tighter limits than the device's own; for tests. */
  readonly limits?: GpuLimits;
  /** Pauses while the plan is made; its signal stops the making. */
  readonly pauser?: Pauser;
}

/** A dispatch with the op it belongs to. */
interface NamedDispatch extends PacedDispatch {
  readonly node: OpNode;
}

/** A launch with the step it belongs to. */
interface StepLaunch {
  readonly step: Step;
  readonly launch: Launch;
}

/** The dispatches and memory of a plan, for reports. */
export interface PlanStatistics {
  /** Dispatches per run. */
  readonly dispatches: number;
  /** Bytes of the buffers and textures that intermediates share, excluding another plan's. */
  readonly arenaBytes: number;
  /** Bytes of inputs, outputs, constants and uniforms the plan owns. */
  readonly ownBytes: number;
}

/** A graph on the GPU. */
export class Plan implements Disposable {
  readonly #gpu: Gpu;
  readonly #graph: Graph;
  readonly #kernels: KernelChoice;
  readonly #places: Places;
  readonly #dispatches: NamedDispatch[] = [];

  private constructor(
    gpu: Gpu,
    graph: Graph,
    places: Places,
    kernels: KernelChoice,
  ) {
    this.#gpu = gpu;
    this.#graph = graph;
    this.#places = places;
    this.#kernels = kernels;
  }

  /**
   * Makes everything a run needs.
   *
   * @param gpu the device
   * @param graph what to compute; ops that no output needs are left out
   * @param options weights, kernels, and inputs and outputs that are stored elsewhere
   * @throws {MasterWeaverError} `aborted`, `gpu`, `out-of-memory`
   */
  static async make(
    gpu: Gpu,
    graph: Graph,
    options: PlanOptions = {},
  ): Promise<Plan> {
    const {
      weights = [],
      bindings = {},
      kernels = new KernelChoice(graph),
      shares,
      limits = gpu.limits,
      pauser,
    } = options;
    const steps = lower(kernels, limits);
    const launches = steps.flatMap((step) =>
      launchesOf(step).map((launch) => ({ step, launch }))
    );
    for (const { step, launch } of launches) checkBindings(step, launch);
    const places = await Places.make(gpu, {
      graph,
      steps,
      choice: kernels,
      weights,
      bindings,
      shares: shares && shares.#places,
    });
    const plan = new Plan(gpu, graph, places, kernels);
    try {
      await plan.#prepare(launches, pauser);
      return plan;
    } catch (error) {
      plan[Symbol.dispose]();
      throw error;
    }
  }

  /** The plan's dispatches and memory. */
  get statistics(): PlanStatistics {
    const { owned, arena } = this.#places.bytes;
    return {
      dispatches: this.#dispatches.length,
      arenaBytes: arena,
      ownBytes: owned - arena,
    };
  }

  /** The op, shader and workgroups of each dispatch, in order, for the bench. */
  get listing(): readonly { node: OpNode; shader: string; groups: number }[] {
    return this.#dispatches.map(({ node, shader, groups }) => ({
      node,
      shader,
      groups: groups[0] * groups[1],
    }));
  }

  /** The place of an input or output, to be bound to another plan. */
  tensor(name: string): GpuTensor {
    const tensor = this.#named(name);
    const slice = this.#places.slice(tensor);
    if (slice) return { spec: tensor, slice };
    throw new MasterWeaverError(
      "gpu",
      `Cannot read or bind ${name}: its kernel has it in a texture`,
    );
  }

  #named(name: string): Tensor {
    const tensor = this.#graph.outputs.get(name) ??
      this.#graph.inputs.get(name);
    if (tensor) return tensor;
    throw new MasterWeaverError("gpu", `Plan has no tensor named ${name}`);
  }

  /**
   * Writes an input, which keeps its value until it is written again.
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
    if ((tensor.dtype === "u32") !== data instanceof Uint32Array) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot write ${
          data instanceof Uint32Array ? "u32" : "floats"
        } to ${name}, which is ${describe(tensor)}`,
      );
    }
    // Deno's writeBuffer panics on no bytes at all.
    if (data.length === 0) return;
    const bytes = toBytes(data, tensor.dtype);
    const { queue } = this.#gpu.device;
    const layout = this.#kernels.layout(tensor);
    if (!isTexels(layout)) {
      const { buffer, offset } = this.#places.slice(tensor);
      queue.writeBuffer(buffer, offset, bytes);
      return;
    }
    const { texture } = this.#places.texture(tensor);
    const writer = layoutWriter(
      tensor,
      layout,
      (start, part) => writeTexels(queue, texture, start, part),
    );
    writer.push(bytes);
    writer.finish();
  }

  /**
   * Copies another tensor to an input, on the GPU.
   *
   * @param name the input
   * @param from the bytes to copy; as many as the input has
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

  /**
   * Queues one run in time slices.
   *
   * @param pace the pace of the call that this run belongs to
   * @param after called once the GPU is done with the run
   * @throws {MasterWeaverError} `aborted` if the call is stopped, `device-lost`, `gpu`
   */
  async runPaced(pace: Pace, after?: () => void): Promise<void> {
    await pace.run(this.#dispatches, after);
  }

  /** Forgets how long its dispatches take, for when the adapter's speed has changed. */
  forgetTimes(): void {
    for (const dispatch of this.#dispatches) dispatch.milliseconds = 0;
  }

  /** Queues one run without pacing; returns before the GPU is done. */
  run(): void {
    const { device, partStarts } = this.#gpu;
    for (let at = 0; at < this.#dispatches.length;) {
      const end = Math.min(at + MAX_SUBMIT_DISPATCHES, this.#dispatches.length);
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      while (at < end) {
        encodeDispatch(pass, this.#dispatches[at++], partStarts.whole);
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
    }
  }

  /**
   * Times each dispatch of one run by the GPU's clock.
   *
   * @returns milliseconds, in the order of {@linkcode listing}
   * @throws {MasterWeaverError} `gpu` if the adapter has no timestamps
   */
  async profile(): Promise<number[]> {
    return await timeDispatches(this.#gpu, this.#dispatches);
  }

  /** Like {@linkcode profile}, but times several consecutive runs as a whole. */
  async timeRuns(runs: number): Promise<TimeSpan> {
    return await timeRuns(this.#gpu, this.#dispatches, runs);
  }

  /**
   * Waits for the GPU and reads outputs back, all in one copy.
   *
   * @param names the outputs
   * @returns their elements as f32, or unchanged if they are u32
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
    this.#places[Symbol.dispose]();
    this.#dispatches.length = 0;
  }

  /** Makes pipelines, uniforms and bind groups. */
  async #prepare(
    launches: readonly StepLaunch[],
    pauser?: Pauser,
  ): Promise<void> {
    const absent = await this.#places.own(
      BINDING_ALIGNMENT,
      GPUBufferUsage.STORAGE,
      "absent operands",
    );
    const params = await this.#writeParams(
      launches.map(({ launch }) => launch),
    );
    const bindGroups = new BindGroups(this.#gpu);
    const prepare = ({ step, launch }: StepLaunch, i: number, work: number) => {
      const { node } = step;
      const access = launch.bind.map((binding) => binding.access);
      const key = { ...launch, storage: node.storage, access };
      const bound = launch.bind.map((binding) =>
        this.#places.bindable(step, binding) ??
          { buffer: absent, offset: 0, size: BINDING_ALIGNMENT }
      );
      this.#dispatches.push({
        node,
        shader: launch.shader,
        pipeline: this.#gpu.pipelines.get(key),
        bindGroup: bindGroups.bind(access, bound, params[i]),
        offsets: [params[i].offset],
        workgroups: launch.workgroups,
        groups: foldGroups(launch.workgroups, this.#gpu.limits),
        work,
        milliseconds: 0,
      });
    };
    // An op may have hundreds of launches: errors are checked once per op.
    for (let i = 0; i < launches.length;) {
      const { step } = launches[i];
      let end = i;
      while (end < launches.length && launches[end].step === step) end++;
      const from = i;
      const own = launches.slice(from, end);
      const work = launchWork(step.node, own.map(({ launch }) => launch));
      await this.#gpu.scoped(
        describeNode(step.node),
        () => own.forEach((launch, j) => prepare(launch, from + j, work[j])),
      );
      if (pauser?.isDue) await pauser.pause();
      i = end;
    }
  }

  /** The parameters of all launches, in one buffer. */
  async #writeParams(launches: readonly Launch[]): Promise<BufferSlice[]> {
    // Deno's writeBuffer panics if there is nothing to write.
    if (launches.length === 0) return [];
    const { bytes, places } = packParams(launches);
    const buffer = await this.#places.own(
      bytes.byteLength,
      GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      "parameters",
    );
    this.#gpu.device.queue.writeBuffer(buffer, 0, bytes);
    return places.map((place) => ({ buffer, ...place }));
  }
}
