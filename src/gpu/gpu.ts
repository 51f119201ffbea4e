/**
 * The WebGPU device, with its limits and the objects that live as long as it does.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { nextTask } from "../base/next_task.ts";
import { BufferPool } from "./buffers.ts";
import type { GpuLimits, StorageType } from "./limits.ts";
import { noAdapter } from "./no_adapter.ts";
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

/** A device with its buffers and pipelines. */
export class Gpu implements Disposable {
  /** The WebGPU device. */
  readonly device: GPUDevice;
  /** What the driver reports about itself; strings may be empty. */
  readonly info: GPUAdapterInfo;
  /** The limits in force. */
  readonly limits: GpuLimits;
  /** Whether shaders may store f16. */
  readonly hasF16: boolean;
  /** Whether this is a software adapter, which runs shaders on the CPU. */
  readonly isSoftware: boolean;
  /** Whether passes can be timed on the GPU's own clock. */
  readonly hasTimestamps: boolean;
  /** Makes and counts the device's buffers and textures. */
  readonly buffers: BufferPool;
  /** Makes the device's pipelines, each once. */
  readonly pipelines: PipelineCache;
  /** Bind groups with the first workgroup of a dispatch. */
  readonly partStarts: PartStarts;
  /** Operations per millisecond of each shader, as last measured. */
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
          'start again, and if it recurs, with a smaller image or dtype: "f16"',
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
   * @throws {MasterWeaverError} `no-adapter` if there is none
   */
  static async open(): Promise<Gpu> {
    const adapter = await navigator.gpu?.requestAdapter({
      powerPreference: "high-performance",
    });
    if (!adapter) {
      throw new MasterWeaverError("no-adapter", noAdapter(globalThis));
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

  /** The storage type used if the caller does not choose one. */
  get defaultStorage(): StorageType {
    return this.hasF16 ? "f16" : "f32";
  }

  /** Whether the device was lost or disposed, so that nothing on it works any more. */
  get isLost(): boolean {
    return this.#closed || this.#lost !== null;
  }

  /**
   * Throws the error that the device reported since the last check; a lost device
   * throws every time.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`
   */
  check(): void {
    const fault = this.#lost ?? this.#fault;
    this.#fault = null;
    if (fault) throw fault;
  }

  /**
   * Waits for pending device events, then clears any error except a lost device:
   * the call it belonged to has already failed with it.
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
   * Lets other tasks run: waiting for the GPU blocks the event loop, so abort
   * signals are only noticed after a turn of it.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`
   */
  async turn(): Promise<void> {
    await nextTask();
    this.check();
  }

  /** Waits until everything queued is done, ignoring failures. */
  async drain(): Promise<void> {
    if (!this.isLost) await this.flush().catch(() => {});
  }

  /** Submits all queued writes and waits until the GPU has done them. */
  async flush(): Promise<void> {
    this.device.queue.submit([]);
    await this.device.queue.onSubmittedWorkDone();
  }

  /**
   * Runs `make` and throws the errors that WebGPU reports for it.
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
        // Popping the scopes of a lost device fails.
        failure ??= error;
        return [null, null];
      });
    if (validation || outOfMemory || failure !== undefined) {
      // The loss of the device is reported in a task of its own.
      await nextTask();
      // Invalid objects were counted and cached like valid ones: undo both.
      for (const memory of made) this.buffers.free(memory);
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
      `The GPU has no memory left for ${what}, with ${held} MiB in use; ` +
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
 * The requested storage type, or the adapter's default.
 *
 * @throws {MasterWeaverError} `bad-option` if it is not a storage type, or the adapter does not support it
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
  return asked ?? gpu.defaultStorage;
}

function firstLine(text: string): string {
  return text.trim().split("\n").slice(0, 4).map((line) => line.trim()).join(
    " ",
  );
}
