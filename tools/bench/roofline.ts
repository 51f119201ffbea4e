/**
 * What the adapter can do at most, measured: multiply and add in registers,
 * and copy memory; and how near an op comes to it.
 *
 * @module
 */
import copyCode from "./ceiling_copy.wgsl" with { type: "text" };
import fmaCode from "./ceiling_fma.wgsl" with { type: "text" };
import type { Gpu } from "../../src/gpu/gpu.ts";
import { medianTimes, USUAL } from "./clock.ts";
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
  const { device, buffers } = gpu;
  const pipeline = pipelineOf(gpu, fmaCode, { CONTRACT: Number(contract) });
  const y = buffers.make(4 * INVOCATIONS, GPUBufferUsage.STORAGE, "ceiling");
  const uniform = buffers.make(
    16,
    GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    "ceiling",
  );
  try {
    const run = runner(gpu, pipeline, [y, uniform], INVOCATIONS / 64);
    const time = async (turns: number) => {
      const words = new DataView(new ArrayBuffer(16));
      words.setUint32(0, turns, true);
      words.setFloat32(4, 0.5, true);
      words.setFloat32(8, 0.5, true);
      device.queue.writeBuffer(uniform, 0, words.buffer);
      const [milliseconds] = await medianTimes([run], USUAL);
      return milliseconds;
    };
    let turns = 64;
    let milliseconds = await time(turns);
    while (milliseconds < LONG && turns < 2 ** 20) {
      turns *= Math.ceil(LONG / milliseconds) + 1;
      milliseconds = await time(turns);
    }
    return FLOPS_A_TURN * turns * INVOCATIONS / milliseconds / 1e6;
  } finally {
    buffers.free(y);
    buffers.free(uniform);
  }
}

async function copySpeed(gpu: Gpu): Promise<number> {
  const { buffers, limits } = gpu;
  const most = limits.maxStorageBufferBindingSize;
  const bytes = Math.min(COPIED, most - most % 4096);
  const pipeline = pipelineOf(gpu, copyCode, {});
  const x = buffers.make(bytes, GPUBufferUsage.STORAGE, "ceiling");
  const y = buffers.make(bytes, GPUBufferUsage.STORAGE, "ceiling");
  try {
    const run = runner(gpu, pipeline, [x, y], bytes / 4096);
    const [milliseconds] = await medianTimes([run], USUAL);
    return 2 * bytes / milliseconds / 1e6;
  } finally {
    buffers.free(x);
    buffers.free(y);
  }
}

function pipelineOf(
  { device }: Gpu,
  code: string,
  constants: Readonly<Record<string, number>>,
): GPUComputePipeline {
  const module = device.createShaderModule({ code });
  return device.createComputePipeline({
    label: "ceiling",
    layout: "auto",
    compute: { module, entryPoint: "main", constants },
  });
}

/** A dispatch of so many workgroups, again and again. */
function runner(
  { device, limits }: Gpu,
  pipeline: GPUComputePipeline,
  bound: readonly GPUBuffer[],
  groups: number,
) {
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: bound.map((buffer, binding) => ({
      binding,
      resource: { buffer },
    })),
  });
  // Whole rows of workgroups: what is left of the last one is left out.
  const rows = Math.ceil(groups / limits.maxComputeWorkgroupsPerDimension);
  return {
    queue() {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(Math.floor(groups / rows), rows);
      pass.end();
      device.queue.submit([encoder.finish()]);
    },
    wait: () => device.queue.onSubmittedWorkDone().then(() => {}),
  };
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
