/**
 * The adapter, its limits and the device: the floor everything stands on.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { BufferPool } from "./buffers.ts";
import type { GpuLimits, StorageType } from "./limits.ts";
import { PartStarts } from "./part_starts.ts";
import { PipelineCache } from "./pipelines.ts";

export type { GpuLimits, StorageType } from "./limits.ts";

const requestedLimits = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupsPerDimension",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxStorageBuffersPerShaderStage",
] as const;

/** A device with what is made once on it: buffers and pipelines. */
export class Gpu implements Disposable {
  /** The WebGPU device. */
  readonly device: GPUDevice;
  /** What the driver says of itself; may be empty strings. */
  readonly info: GPUAdapterInfo;
  /** The limits in force. */
  readonly limits: GpuLimits;
  /** Whether shaders may store f16. */
  readonly hasF16: boolean;
  /** Whether the adapter is a CPU that stands in for a GPU. */
  readonly isSoftware: boolean;
  /** Whether passes can be timed on the GPU's own clock. */
  readonly hasTimestamps: boolean;
  /** Every buffer made here, counted. */
  readonly buffers: BufferPool;
  /** Every pipeline made here, once. */
  readonly pipelines: PipelineCache;
  /** Tells dispatches where they begin. */
  readonly partStarts: PartStarts;
  /** Operations a millisecond of each shader, as last measured where it ran. */
  readonly speeds: Map<string, number> = new Map();
  #fault: MasterWeaverError | null = null;
  #lost: MasterWeaverError | null = null;
  #closed = false;

  private constructor(device: GPUDevice, info: GPUAdapterInfo) {
    this.device = device;
    this.info = info;
    this.limits = device.limits;
    this.hasF16 = device.features.has("shader-f16");
    this.isSoftware = info.isFallbackAdapter;
    this.hasTimestamps = device.features.has("timestamp-query");
    this.buffers = new BufferPool(device);
    this.partStarts = new PartStarts(device);
    this.pipelines = new PipelineCache(device, this.partStarts.layout);
    device.lost.then(({ reason, message }) => {
      if (this.#closed) return;
      this.#lost ??= new MasterWeaverError(
        "device-lost",
        `The GPU was lost (${reason}): ${
          message || "the driver gives no reason"
        }; ` +
          'start again, with a smaller image or dtype: "f16" if it recurs',
      );
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#fault ??= new MasterWeaverError(
        "gpu",
        `The GPU refused a command: ${
          firstLine((event as GPUUncapturedErrorEvent).error.message)
        }`,
      );
    });
  }

  /**
   * Asks for an adapter and opens a device with the adapter's own limits.
   *
   * @throws {MasterWeaverError} `no-adapter` where there is none
   */
  static async open(): Promise<Gpu> {
    const adapter = await navigator.gpu?.requestAdapter({
      powerPreference: "high-performance",
    });
    if (!adapter) {
      throw new MasterWeaverError(
        "no-adapter",
        "Found no WebGPU adapter: a Vulkan, Metal or Direct3D 12 driver is needed",
      );
    }
    const wanted: GPUFeatureName[] = ["shader-f16", "timestamp-query"];
    try {
      const device = await adapter.requestDevice({
        requiredFeatures: wanted.filter((name) => adapter.features.has(name)),
        requiredLimits: Object.fromEntries(
          requestedLimits.map((name) => [name, adapter.limits[name]]),
        ),
      });
      return new Gpu(device, adapter.info);
    } catch (error) {
      throw new MasterWeaverError(
        "no-adapter",
        `Cannot open the WebGPU device: ${
          error instanceof Error ? error.message : error
        }; update the graphics driver`,
        { cause: error },
      );
    }
  }

  /** The storage type used where the caller does not choose. */
  get defaultReal(): StorageType {
    return this.hasF16 ? "f16" : "f32";
  }

  /** Whether the device is gone, lost or freed: nothing on it works any more. */
  get isLost(): boolean {
    return this.#closed || this.#lost !== null;
  }

  /**
   * Throws what went wrong on the device since the last call of this; a lost
   * device is told every time.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`
   */
  check(): void {
    const fault = this.#lost ?? this.#fault;
    this.#fault = null;
    if (fault) throw fault;
  }

  /**
   * Lets what happened on the device be heard, and forgets what went wrong but
   * for a lost device: whoever it concerned has been told.
   */
  async settle(): Promise<void> {
    await nextTask();
    this.#fault = null;
  }

  /**
   * Waits until everything queued is done, then lets other tasks run.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`
   */
  async idle(): Promise<void> {
    await this.device.queue.onSubmittedWorkDone();
    await this.turn();
  }

  /**
   * Lets other tasks run: a wait for the GPU blocks the event loop, so signals
   * are heard only after a turn of it.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`
   */
  async turn(): Promise<void> {
    await nextTask();
    this.check();
  }

  /** Waits until everything queued is done, whatever became of it. */
  async drain(): Promise<void> {
    if (!this.isLost) await this.flush().catch(() => {});
  }

  /** Hands everything written so far to the GPU and waits until it has it. */
  async flush(): Promise<void> {
    this.device.queue.submit([]);
    await this.device.queue.onSubmittedWorkDone();
  }

  /**
   * Runs `make` and turns what WebGPU reports about it into an error.
   *
   * @param what the op with its shapes, or the tensor, for the message
   * @throws {MasterWeaverError} `gpu`, `out-of-memory`
   */
  async scoped<T>(what: string, make: () => T): Promise<T> {
    this.device.pushErrorScope("out-of-memory");
    this.device.pushErrorScope("validation");
    this.buffers.takeMade();
    this.pipelines.takeMade();
    let value: T | undefined;
    let failure: unknown;
    try {
      value = make();
    } catch (error) {
      failure = error;
    }
    const made = this.buffers.takeMade();
    const pipelines = this.pipelines.takeMade();
    const invalid = this.device.popErrorScope();
    const memory = this.device.popErrorScope();
    const [validation, outOfMemory] = await Promise.all([invalid, memory])
      .catch((error): [GPUError | null, GPUError | null] => {
        // The scopes of a lost device cannot be asked.
        failure ??= error;
        return [null, null];
      });
    if (validation || outOfMemory || failure !== undefined) {
      // Whether the device was lost is told by a task of its own.
      await nextTask();
      // What is not valid is counted like the rest, and must not be used again.
      for (const each of made) this.buffers.free(each);
      this.pipelines.forget(pipelines);
      if (this.#lost) throw this.#lost;
    }
    if (outOfMemory) throw this.#outOfMemory(what);
    if (validation) {
      throw new MasterWeaverError(
        "gpu",
        `The GPU refused ${what}: ${validation.message.trim()}`,
      );
    }
    if (failure !== undefined) throw failure;
    return value as T;
  }

  #outOfMemory(what: string): MasterWeaverError {
    const held = (this.buffers.bytes / 2 ** 20).toFixed(0);
    return new MasterWeaverError(
      "out-of-memory",
      `The GPU has no memory left for ${what} beside ${held} MiB in use; ` +
        'use dtype: "f16", a smaller image or fewer images at once',
    );
  }

  /** Frees every buffer and the device; a second call does nothing. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.buffers.destroy();
    this.partStarts.destroy();
    this.device.destroy();
  }
}

/**
 * The storage type asked for, or the adapter's best.
 *
 * @throws {MasterWeaverError} `bad-option` where it is none, or the adapter cannot store it
 */
export function chooseDtype(
  gpu: Gpu,
  asked: StorageType | undefined,
): StorageType {
  if (asked !== undefined && asked !== "f16" && asked !== "f32") {
    throw new MasterWeaverError(
      "bad-option",
      `Option dtype must be f16 or f32, got ${asked}`,
    );
  }
  if (asked === "f16" && !gpu.hasF16) {
    throw new MasterWeaverError(
      "bad-option",
      "Option dtype must be f32 here: the adapter has no shader-f16",
    );
  }
  return asked ?? gpu.defaultReal;
}

/** After the tasks that wait to run. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function firstLine(text: string): string {
  return text.trim().split("\n").slice(0, 4).map((line) => line.trim()).join(
    " ",
  );
}
