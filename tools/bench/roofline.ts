/**
 * What the adapter can do at most, measured: multiply and add in registers,
 * and copy memory; and how near an op comes to it.
 *
 * @module
 */
import copyCode from "./ceiling_copy.wgsl" with { type: "text" };
import fmaCode from "./ceiling_fma.wgsl" with { type: "text" };
import type { Gpu } from "../../src/gpu/gpu.ts";
import { type Contender, medianTimes } from "./clock.ts";
import { single, type Table } from "./table.ts";

/** A machine's two ceilings. */
export interface Roofline {
  /** GFLOP/s of f32 arithmetic. */
  readonly gflops: number;
  /** GB/s, read and written. */
  readonly gigabytes: number;
}

/** An adapter's ceilings as measured. */
export interface MeasuredRoofline extends Roofline {
  /** GFLOP/s of calls to fma(). */
  readonly fma: number;
  /** GFLOP/s of a multiplication and an addition. */
  readonly multiplyAdd: number;
}

/** Invocations of the arithmetic: enough for any GPU. */
const INVOCATIONS = 2 ** 18;
/** Operations an invocation does a turn of the shader's loop. */
const FLOPS_A_TURN = 2 * 10 * 8;
/** The arithmetic is made this many milliseconds long at least. */
const LONG = 20;
/** Bytes copied: more than the caches of any GPU or CPU hold. */
const COPIED = 96 * 2 ** 20;

/** Measures the adapter. */
export async function measureRoofline(gpu: Gpu): Promise<MeasuredRoofline> {
  const gigabytes = await copySpeed(gpu);
  const fma = await arithmeticSpeed(gpu, true);
  const multiplyAdd = await arithmeticSpeed(gpu, false);
  return { gflops: Math.max(fma, multiplyAdd), gigabytes, fma, multiplyAdd };
}

async function arithmeticSpeed(gpu: Gpu, contract: boolean): Promise<number> {
  const constants = { CONTRACT: Number(contract) };
  using shader = new Shader(gpu, fmaCode, constants, INVOCATIONS / 64, [
    [4 * INVOCATIONS, GPUBufferUsage.STORAGE],
    [16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST],
  ]);
  const time = async (turns: number) => {
    const words = new DataView(new ArrayBuffer(16));
    words.setUint32(0, turns, true);
    words.setFloat32(4, 0.5, true);
    words.setFloat32(8, 0.5, true);
    gpu.device.queue.writeBuffer(shader.buffers[1], 0, words.buffer);
    const [milliseconds] = await medianTimes([shader]);
    return milliseconds;
  };
  let turns = 64;
  let milliseconds = await time(turns);
  while (milliseconds < LONG && turns < 2 ** 20) {
    turns *= Math.ceil(LONG / milliseconds) + 1;
    milliseconds = await time(turns);
  }
  return FLOPS_A_TURN * turns * INVOCATIONS / milliseconds / 1e6;
}

async function copySpeed(gpu: Gpu): Promise<number> {
  const most = gpu.limits.maxStorageBufferBindingSize;
  const bytes = Math.min(COPIED, most - most % 4096);
  const buffer = [bytes, GPUBufferUsage.STORAGE] as const;
  using shader = new Shader(gpu, copyCode, {}, bytes / 4096, [buffer, buffer]);
  const [milliseconds] = await medianTimes([shader]);
  return 2 * bytes / milliseconds / 1e6;
}

/** A shader with buffers of its own, dispatched again and again. */
class Shader implements Contender, Disposable {
  /** In the order of their bindings. */
  readonly buffers: readonly GPUBuffer[];
  readonly #gpu: Gpu;
  readonly #pipeline: GPUComputePipeline;
  readonly #bindGroup: GPUBindGroup;
  readonly #groups: number;

  constructor(
    gpu: Gpu,
    code: string,
    constants: Readonly<Record<string, number>>,
    groups: number,
    buffers: readonly (readonly [bytes: number, usage: number])[],
  ) {
    const { device } = gpu;
    this.#gpu = gpu;
    this.#groups = groups;
    this.#pipeline = device.createComputePipeline({
      label: "ceiling",
      layout: "auto",
      compute: {
        module: device.createShaderModule({ code }),
        entryPoint: "main",
        constants,
      },
    });
    this.buffers = buffers.map(([bytes, usage]) =>
      gpu.buffers.make(bytes, usage, "ceiling")
    );
    this.#bindGroup = device.createBindGroup({
      layout: this.#pipeline.getBindGroupLayout(0),
      entries: this.buffers.map((buffer, binding) => (
        { binding, resource: { buffer } }
      )),
    });
  }

  queue(): void {
    const { device, limits } = this.#gpu;
    const groups = this.#groups;
    // Whole rows of workgroups: what is left of the last one is left out.
    const rows = Math.ceil(groups / limits.maxComputeWorkgroupsPerDimension);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#bindGroup);
    pass.dispatchWorkgroups(Math.floor(groups / rows), rows);
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  async wait(): Promise<void> {
    await this.#gpu.device.queue.onSubmittedWorkDone();
  }

  [Symbol.dispose](): void {
    for (const buffer of this.buffers) this.#gpu.buffers.free(buffer);
  }
}

/**
 * The share of what a machine can do that an op reaches: the time its
 * arithmetic or its bytes take at the ceiling, whichever is longer, over the
 * time it took.
 */
export function shareOfRoofline(
  { gflops, gigabytes }: Roofline,
  { flops, bytes, milliseconds }: {
    readonly flops: number;
    readonly bytes: number;
    readonly milliseconds: number;
  },
): number {
  return Math.max(flops / gflops, bytes / gigabytes) / 1e6 / milliseconds;
}

/** The ceilings as a table. */
export function rooflineTable(roofline: MeasuredRoofline): Table {
  const { gflops, gigabytes, fma, multiplyAdd } = roofline;
  return {
    section: "roofline",
    subject: "the adapter's own ceiling",
    rows: [
      single("arithmetic, f32", gflops, "GFLOP/s"),
      single("  by fma()", fma, "GFLOP/s"),
      single("  by multiply and add", multiplyAdd, "GFLOP/s"),
      single("copy, read and written", gigabytes, "GB/s"),
    ],
  };
}
