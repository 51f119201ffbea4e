/**
 * What the adapter can do at most, measured: multiply and add in registers,
 * and copy memory; and how near an op comes to it.
 *
 * @module
 */
import copyCode from "./ceiling_copy.wgsl" with { type: "text" };
import fmaCode from "./ceiling_fma.wgsl" with { type: "text" };
import type { Gpu } from "../../src/gpu/gpu.ts";
import { medianTimes } from "./clock.ts";
import type { Cost } from "./cost.ts";
import { single, type Table } from "./table.ts";

/** A machine's two ceilings. */
export interface Roofline {
  /** GFLOP/s of f32 arithmetic. */
  readonly gflops: number;
  /** GB/s, read and written. */
  readonly gigabytes: number;
}

/** Invocations of the arithmetic: enough for any GPU. */
const INVOCATIONS = 2 ** 18;
/** Operations an invocation does a turn of the shader's loop. */
const FLOPS_A_TURN = 2 * 10 * 8;
/** CallQueue of that loop: 43 GFLOP, beside which a launch is nothing on any GPU. */
const TURNS = 1024;
/** Bytes copied: more than the caches of any GPU or CPU hold. */
const COPIED = 96 * 2 ** 20;

/** Measures the adapter; its arithmetic by calls to fma(), and by a multiplication and an addition. */
export async function measureRoofline(gpu: Gpu) {
  const gigabytes = await copySpeed(gpu);
  const fma = await arithmeticSpeed(gpu, true);
  const multiplyAdd = await arithmeticSpeed(gpu, false);
  return { gflops: Math.max(fma, multiplyAdd), gigabytes, fma, multiplyAdd };
}

async function arithmeticSpeed(gpu: Gpu, contract: boolean): Promise<number> {
  const constants = { CONTRACT: Number(contract) };
  using shader = makeShader(gpu, fmaCode, constants, INVOCATIONS / 64, [
    [4 * INVOCATIONS, GPUBufferUsage.STORAGE],
    [16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST],
  ]);
  const params = new Float32Array([0, 0.5, 0.5, 0]);
  new Uint32Array(params.buffer)[0] = TURNS;
  gpu.device.queue.writeBuffer(shader.buffers[1], 0, params);
  const [milliseconds] = await medianTimes([shader]);
  return FLOPS_A_TURN * TURNS * INVOCATIONS / milliseconds / 1e6;
}

async function copySpeed(gpu: Gpu): Promise<number> {
  const most = gpu.limits.maxStorageBufferBindingSize;
  const bytes = Math.min(COPIED, most - most % 4096);
  const buffer = [bytes, GPUBufferUsage.STORAGE] as const;
  const buffers = [buffer, buffer];
  using shader = makeShader(gpu, copyCode, {}, bytes / 4096, buffers);
  const [milliseconds] = await medianTimes([shader]);
  return 2 * bytes / milliseconds / 1e6;
}

/** A shader with buffers of its own, in the order of their bindings. */
function makeShader(
  gpu: Gpu,
  code: string,
  constants: Record<string, number>,
  groups: number,
  sizes: readonly (readonly [bytes: number, usage: number])[],
) {
  const { device, limits } = gpu;
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({
    label: "ceiling",
    layout: "auto",
    compute: { module, entryPoint: "main", constants },
  });
  const buffers = sizes.map(([bytes, usage]) =>
    gpu.buffers.make(bytes, usage, "ceiling")
  );
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => (
      { binding, resource: { buffer } }
    )),
  });
  // Whole rows of workgroups: what is left of the last one is left out.
  const rows = Math.ceil(groups / limits.maxComputeWorkgroupsPerDimension);
  return {
    buffers,
    queue() {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(Math.floor(groups / rows), rows);
      pass.end();
      device.queue.submit([encoder.finish()]);
    },
    wait: async () => void await device.queue.onSubmittedWorkDone(),
    [Symbol.dispose]() {
      for (const buffer of buffers) gpu.buffers.free(buffer);
    },
  };
}

/**
 * The share of what a machine can do that an op reaches: the time its
 * arithmetic or its bytes take at the ceiling, whichever is longer, over the
 * time it took.
 */
export function shareOfRoofline(
  { gflops, gigabytes }: Roofline,
  { flops, bytes }: Pick<Cost, "flops" | "bytes">,
  milliseconds: number,
): number {
  return Math.max(flops / gflops, bytes / gigabytes) / 1e6 / milliseconds;
}

/** The ceilings as a table. */
export function rooflineTable(
  { gflops, gigabytes, fma, multiplyAdd }: Awaited<
    ReturnType<typeof measureRoofline>
  >,
): Table {
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
