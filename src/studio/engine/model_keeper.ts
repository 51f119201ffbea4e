/**
 * Keeps one model loaded, with every network on the GPU while memory allows.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { CallOptions } from "../../base/progress.ts";
import type { LoadOptions } from "../../load.ts";
import type { MasterWeaver } from "../../pipeline.ts";

/** What networks take on a software adapter for each byte of their files, about: f16 becomes f32. */
export const EXPANSION = 2;

const CANNOT_KEEP =
  "There is too little memory to keep every network loaded: each is loaded when it is needed, so that images take longer to start";

/** How a model is loaded. */
export interface ModelLoader {
  /** Whether all networks stay on the GPU while memory allows. */
  readonly keepLoaded: boolean;
  /**
   * Loads it.
   *
   * @throws {MasterWeaverError} as `MasterWeaver.load`
   */
  load(
    options: Pick<LoadOptions, "keepLoaded" | "onProgress" | "signal">,
  ): Promise<MasterWeaver>;
  /** Whether all networks fit, where the GPU does not say so itself. */
  hasRoom(weaver: MasterWeaver): Promise<boolean>;
}

/** Keeps a model between calls. */
export class ModelKeeper {
  readonly #loader: ModelLoader;
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
  constructor(
    loader: ModelLoader,
    onLoaded: (weaver: MasterWeaver) => void,
  ) {
    this.#loader = loader;
    this.#onLoaded = onLoaded;
    this.#keepLoaded = loader.keepLoaded;
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
      if (this.#keepLoaded && !await this.#loader.hasRoom(this.#weaver!)) {
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
    this.#weaver = await this.#loader.load({
      keepLoaded: this.#keepLoaded,
      onProgress,
      signal,
    });
    this.#onLoaded(this.#weaver);
  }
}

function isMemory(error: unknown): error is MasterWeaverError {
  return error instanceof MasterWeaverError && error.code === "out-of-memory";
}

/** Whether an error is about a limit of the adapter, which holds whatever is loaded. */
function isLimit({ message }: MasterWeaverError): boolean {
  return /\badapter\b.* at most /.test(message);
}
