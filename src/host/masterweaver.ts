/**
 * The facade with a file system: a model may be loaded from a folder.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { formatValue } from "../base/format_value.ts";
import {
  type LoadedModel,
  loadModel,
  type LoadOptions as CoreLoadOptions,
} from "../load.ts";
import { checkOptions } from "../options/checks.ts";
import type { LoadChoices } from "../options/settings.ts";
import { MasterWeaver as CoreMasterWeaver } from "../pipeline.ts";
import { throwIfAborted } from "../base/progress.ts";
import type { TuneStore } from "../graph/tuner.ts";
import type { ModelFiles } from "../weights/components.ts";
import { errorWithTools } from "./advice.ts";
import { userTuneStore } from "./cache.ts";
import { provideWebGpu } from "./dawn.ts";
import { openModelFolder } from "./files.ts";

/** How a model is loaded. */
export interface LoadOptions
  extends CoreLoadOptions, Partial<Pick<LoadChoices, "adapter" | "taesd">> {
  /** Keeps the tuner's measurements; by default in the user's cache folder, where `model` is a folder. */
  readonly tuneStore?: TuneStore;
}

/**
 * A loaded model.
 *
 * @example
 * ```ts no-eval
 * import { MasterWeaver, readImage, writePng } from "./mod.ts";
 *
 * await using weaver = await MasterWeaver.load("weights/mini");
 * const identity = await weaver.encodeIdentity([await readImage("a.png")]);
 * const { images } = await weaver.generate({ identity, prompt: "a man in the snow" });
 * const [image] = images;
 * if (image) await writePng("out.png", image);
 * ```
 */
export class MasterWeaver extends CoreMasterWeaver {
  /** The folder's open files; null where the caller opened them. */
  readonly #folder: AsyncDisposable | null;

  private constructor(model: LoadedModel, folder: AsyncDisposable | null) {
    super(model);
    this.#folder = folder;
  }

  /**
   * Loads a model: opens its files and checks every name and shape. Weights
   * are streamed to the GPU when a network is first needed; damage in them is
   * found then.
   *
   * @param model a folder with a converted model, as path or `file:` URL, or its files
   * @throws {MasterWeaverError} `no-adapter`, `bad-model`, `cannot-read`, `bad-option`, `aborted`
   */
  static override async load(
    model: string | URL | ModelFiles,
    options: LoadOptions = {},
  ): Promise<MasterWeaver> {
    checkOptions("load", options);
    checkModel(model);
    try {
      await provideWebGpu();
      return typeof model === "string" || model instanceof URL
        ? await MasterWeaver.#loadFolder(model, options)
        : new MasterWeaver(await loadModel(model, options), null);
    } catch (error) {
      throw errorWithTools(error);
    }
  }

  static async #loadFolder(
    model: string | URL,
    { adapter, taesd, tuneStore = userTuneStore(), ...options }: LoadOptions,
  ): Promise<MasterWeaver> {
    throwIfAborted(options.signal);
    await using stack = new AsyncDisposableStack();
    const { files } = stack.use(await openModelFolder(model, adapter, taesd));
    const loaded = await loadModel(files, { ...options, tuneStore });
    return new MasterWeaver(loaded, stack.move());
  }

  /** Stops running calls, frees everything on the GPU and closes the folder's files; later calls are refused. */
  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#folder?.[Symbol.asyncDispose]();
  }
}

/**
 * Checks that a model is given as a folder or as files.
 *
 * @throws {MasterWeaverError} `bad-option` saying what was given
 */
function checkModel(model: unknown): void {
  const isFiles = typeof model === "object" && model !== null &&
    !Array.isArray(model) && !(model instanceof Promise);
  if (model === "" || !(typeof model === "string" || isFiles)) {
    throw new MasterWeaverError(
      "bad-option",
      `Option model must be a folder's path or its files, got ${
        formatValue(model)
      }`,
    );
  }
  if (typeof model === "string" && model.startsWith("file:")) {
    throw new MasterWeaverError(
      "bad-option",
      `Option model must be a folder's path or a URL object, got the string ${
        formatValue(model)
      }; write new URL(…) around it`,
    );
  }
  if (model instanceof URL && model.protocol !== "file:") {
    throw new MasterWeaverError(
      "bad-option",
      `Option model must be a folder's path, a file: URL or its files, got ${
        model.href.slice(0, 60)
      }; download the model first`,
    );
  }
}
