/**
 * Keeps one model loaded, with every network on the GPU while memory allows.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { CallOptions } from "../../base/progress.ts";
import { MasterWeaver } from "../../host/masterweaver.ts";
import type { GpuSetup } from "./gpu_calls.ts";

/** What networks take on the GPU for each byte of their files, about: f16 becomes f32. */
const EXPANSION = 2;

const CANNOT_KEEP =
  "There is too little memory to keep every network loaded: each is loaded when it is needed, so that images take longer to start";

/** Keeps a model between calls. */
export class ModelKeeper {
  readonly #setup: GpuSetup;
  readonly #onLoaded: (weaver: MasterWeaver) => void;
  #weaver: MasterWeaver | null = null;
  #keepLoaded: boolean;
  /** A warning that no call could take yet. */
  #pending: string | null = null;

  /**
   * Loads nothing yet.
   *
   * @param onLoaded is called whenever the model was loaded
   */
  constructor(setup: GpuSetup, onLoaded: (weaver: MasterWeaver) => void) {
    this.#setup = setup;
    this.#onLoaded = onLoaded;
    this.#keepLoaded = setup.keepLoaded;
  }

  /**
   * Works with the model. Where the GPU has too little memory for all networks
   * at once, it works once more with one at a time.
   *
   * @param call `onWarning`, where it is given, is told so
   * @throws {MasterWeaverError} as `MasterWeaver.load`, and what `work` throws
   */
  async use<T>(
    call: CallOptions,
    work: (weaver: MasterWeaver) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#work(call, work);
    } catch (error) {
      if (!this.#keepLoaded || !isMemory(error) || isLimit(error)) throw error;
    }
    await this.release();
    this.#keepLoaded = false;
    try {
      const result = await this.#work(call, work);
      this.#warn(call, CANNOT_KEEP);
      return result;
    } catch (error) {
      // It was the call, which is too large whatever else is loaded.
      if (isMemory(error)) {
        await this.release();
        this.#keepLoaded = true;
      }
      throw error;
    }
  }

  /** Frees the model and the GPU; the next call loads it again. */
  async release(): Promise<void> {
    const weaver = this.#weaver;
    this.#weaver = null;
    await weaver?.[Symbol.asyncDispose]();
  }

  async #work<T>(
    call: CallOptions,
    work: (weaver: MasterWeaver) => Promise<T>,
  ): Promise<T> {
    if (this.#weaver === null) {
      await this.#load(call);
      if (this.#keepLoaded && !await this.#hasRoom(this.#weaver!)) {
        await this.release();
        this.#keepLoaded = false;
        this.#pending = CANNOT_KEEP;
        await this.#load(call);
      }
    }
    if (this.#pending !== null) this.#warn(call, this.#pending);
    return await work(this.#weaver!);
  }

  /** Warns now, or by the next call that takes warnings. */
  #warn({ onWarning }: CallOptions, warning: string): void {
    this.#pending = onWarning ? null : warning;
    onWarning?.(warning);
  }

  async #load({ onProgress, signal }: CallOptions): Promise<void> {
    const { model, adapter, dtype, tune } = this.#setup;
    this.#weaver = await MasterWeaver.load(model, {
      ...adapter !== undefined && { adapter },
      ...dtype !== undefined && { dtype },
      tune,
      keepLoaded: this.#keepLoaded,
      onProgress,
      signal,
    });
    this.#onLoaded(this.#weaver);
  }

  /**
   * Whether all networks fit. A GPU says so itself, by an error; a software
   * adapter takes the system's memory until the system ends the process.
   */
  async #hasRoom({ gpu }: MasterWeaver): Promise<boolean> {
    if (!gpu.isSoftware) return true;
    let bytes = 0;
    for await (const { name, isFile } of Deno.readDir(this.#setup.model)) {
      if (!isFile || !name.endsWith(".weave")) continue;
      bytes += (await Deno.stat(`${this.#setup.model}/${name}`)).size;
    }
    return bytes * EXPANSION <= availableMemory();
  }
}

function isMemory(error: unknown): error is MasterWeaverError {
  return error instanceof MasterWeaverError && error.code === "out-of-memory";
}

/** Whether an error is about a limit of the adapter, which holds whatever is loaded. */
function isLimit({ message }: MasterWeaverError): boolean {
  return /\badapter\b.* at most /.test(message);
}

/** Bytes of memory that are free; none where Deno may not ask the system. */
function availableMemory(): number {
  try {
    return Deno.systemMemoryInfo().available;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return 0;
    throw error;
  }
}
