/**
 * Times dispatches by the GPU's clock.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { type Dispatch, encodeDispatch } from "../gpu/dispatches.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { MAX_SUBMIT_DISPATCHES } from "../gpu/pace.ts";
import { readBuffers } from "../gpu/readback.ts";

/** Most dispatches in a query set: it holds 4096 timestamps, two per dispatch. */
const MAX_SET_DISPATCHES = 2048;

/**
 * Runs dispatches in order and times each.
 *
 * @returns milliseconds of each dispatch
 * @throws {MasterWeaverError} `gpu` if the adapter has no timestamps
 */
export async function timeDispatches(
  gpu: Gpu,
  dispatches: readonly Dispatch[],
): Promise<number[]> {
  requireTimestamps(gpu);
  const times: number[] = [];
  for (let start = 0; start < dispatches.length; start += MAX_SET_DISPATCHES) {
    times.push(
      ...await timeSet(
        gpu,
        dispatches.slice(start, start + MAX_SET_DISPATCHES),
      ),
    );
  }
  return times;
}

async function timeSet(
  gpu: Gpu,
  dispatches: readonly Dispatch[],
): Promise<number[]> {
  const stamps = await readStamps(
    gpu,
    2 * dispatches.length,
    (encoder, querySet) =>
      dispatches.forEach((dispatch, i) => {
        const pass = encoder.beginComputePass({
          timestampWrites: {
            querySet,
            beginningOfPassWriteIndex: 2 * i,
            endOfPassWriteIndex: 2 * i + 1,
          },
        });
        encodeDispatch(pass, dispatch, gpu.partStarts.whole);
        pass.end();
      }),
  );
  return dispatches.map((_, i) =>
    Number(stamps[2 * i + 1] - stamps[2 * i]) / 1e6
  );
}

/** A span of time on the GPU's clock, in nanoseconds. */
export interface TimeSpan {
  /** When the first dispatch started. */
  readonly begin: bigint;
  /** When the last one ended. */
  readonly end: bigint;
}

/**
 * Runs dispatches in order, several times, and times all runs as a whole.
 *
 * @param runs number of runs
 * @throws {MasterWeaverError} `gpu` if the adapter has no timestamps
 */
export async function timeRuns(
  gpu: Gpu,
  dispatches: readonly Dispatch[],
  runs: number,
): Promise<TimeSpan> {
  requireTimestamps(gpu);
  const total = runs * dispatches.length;
  const [begin, end] = await readStamps(gpu, 2, (encoder, querySet, next) => {
    for (let at = 0; at < total;) {
      if (at > 0) encoder = next();
      const until = Math.min(at + MAX_SUBMIT_DISPATCHES, total);
      const writes = {
        ...at === 0 ? { beginningOfPassWriteIndex: 0 } : {},
        ...until === total ? { endOfPassWriteIndex: 1 } : {},
      };
      // A pass in between has nothing to write, and WebGPU refuses that.
      const pass = encoder.beginComputePass(
        Object.keys(writes).length > 0
          ? { timestampWrites: { querySet, ...writes } }
          : {},
      );
      while (at < until) {
        encodeDispatch(
          pass,
          dispatches[at++ % dispatches.length],
          gpu.partStarts.whole,
        );
      }
      pass.end();
    }
  });
  return { begin, end };
}

/**
 * Encodes compute passes and reads their timestamps.
 *
 * @param count number of timestamps they write
 * @param encode encodes the passes; `next` submits the encoder and returns a new one
 */
async function readStamps(
  gpu: Gpu,
  count: number,
  encode: (
    encoder: GPUCommandEncoder,
    querySet: GPUQuerySet,
    next: () => GPUCommandEncoder,
  ) => void,
): Promise<BigUint64Array> {
  const { device, buffers } = gpu;
  const querySet = device.createQuerySet({ type: "timestamp", count });
  const buffer = buffers.make(
    8 * count,
    GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    "timestamps",
  );
  try {
    let encoder = device.createCommandEncoder();
    const next = () => {
      device.queue.submit([encoder.finish()]);
      return encoder = device.createCommandEncoder();
    };
    encode(encoder, querySet, next);
    encoder.resolveQuerySet(querySet, 0, count, buffer, 0);
    device.queue.submit([encoder.finish()]);
    const slice = { buffer, offset: 0, size: 8 * count };
    const [bytes] = await readBuffers(gpu, [slice]);
    return new BigUint64Array(bytes);
  } finally {
    buffers.free(buffer);
    querySet.destroy();
  }
}

function requireTimestamps(gpu: Gpu): void {
  if (gpu.hasTimestamps) return;
  throw new MasterWeaverError(
    "gpu",
    "Cannot time dispatches: the adapter has no timestamp-query",
  );
}
