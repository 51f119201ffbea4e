/**
 * Keeps one model loaded, with every network on the GPU while memory allows.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { CallOptions } from "../../base/progress.ts";
import type { LoadOptions } from "../../load.ts";
import type { MasterWeaver } from "../../pipeline.ts";

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
      const isMemory = error instanceof MasterWeaverError &&
        error.code === "out-of-memory";
      if (!isMemory || !this.#keepLoaded) throw error;
      await this.#keepNothing();
      return await this.#work(call, work);
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
        await this.#keepNothing();
        await this.#load(call);
      }
    }
    if (this.#pending !== null && call.onWarning) {
      call.onWarning(this.#pending);
      this.#pending = null;
    }
    return await work(this.#weaver!);
  }

  async #keepNothing(): Promise<void> {
    await this.release();
    this.#keepLoaded = false;
    this.#pending = CANNOT_KEEP;
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
