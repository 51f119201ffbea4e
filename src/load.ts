/**
 * Loading a model: its files are checked, and a device is opened for it.
 *
 * @module
 */
import {
  type CallOptions,
  throwIfAborted,
  untilAborted,
} from "./base/progress.ts";
import {
  checkWeights,
  type ModelComponents,
  networksOf,
  openModelComponents,
  readTokenizer,
} from "./components/networks.ts";
import { Engine } from "./engine.ts";
import { chooseDtype, Gpu } from "./gpu/gpu.ts";
import type { StorageType } from "./gpu/limits.ts";
import { Tuner, type TuneStore } from "./graph/tuner.ts";
import { checkModelFiles, checkOptions } from "./options/checks.ts";
import type { LoadChoices } from "./options/settings.ts";
import type { ClipTokenizer } from "./text/tokenizer.ts";
import { type ModelFiles, modelHash } from "./weights/components.ts";

/** How a model is loaded. */
export interface LoadOptions
  extends Partial<Omit<LoadChoices, "adapter">>, CallOptions {
  /** Keeps the tuner's measurements; without it they are forgotten. */
  readonly tuneStore?: TuneStore;
}

/** A model whose files are open and checked, on a device. */
export interface LoadedModel {
  /** Storage of activations and weights. */
  readonly dtype: StorageType;
  /** Hexadecimal SHA-256 that covers all its files. */
  readonly hash: string;
  /** Its files; whoever opened them closes them. */
  readonly files: ModelFiles;
  /** Configs and weights of its networks. */
  readonly components: ModelComponents;
  /** Turns prompts into token ids. */
  readonly tokenizer: ClipTokenizer;
  /** The model on the device. */
  readonly engine: Engine;
  /** The model on another device, after this one was lost. */
  readonly openEngine: (gpu: Gpu) => Engine;
}

/**
 * Opens a model's files, checks every name and shape, and opens a device.
 *
 * @throws {MasterWeaverError} `no-adapter`, `bad-model`, `cannot-read`, `bad-option`, `aborted`
 */
export async function loadModel(
  files: ModelFiles,
  options: LoadOptions,
): Promise<LoadedModel> {
  checkOptions("load", options);
  checkModelFiles(files, options);
  throwIfAborted(options.signal);
  const gpu = await Gpu.open();
  try {
    return await loadOnto(gpu, files, options);
  } catch (error) {
    gpu[Symbol.dispose]();
    throw error;
  }
}

async function loadOnto(
  gpu: Gpu,
  files: ModelFiles,
  { dtype: asked, signal, keepLoaded = false, tune = "auto", tuneStore }:
    LoadOptions,
): Promise<LoadedModel> {
  const dtype = chooseDtype(gpu, asked);
  throwIfAborted(signal);
  const components = await untilAborted(openModelComponents(files), signal);
  const tokenizer = readTokenizer(components);
  checkWeights(dtype, components);
  const hash = await modelHash(networksOf(components).map(({ file }) => file));
  throwIfAborted(signal);
  const openEngine = (gpu: Gpu) => {
    const tuner = new Tuner(gpu, tune, tuneStore);
    return new Engine(gpu, dtype, components, keepLoaded, tuner, hash);
  };
  const engine = openEngine(gpu);
  return { dtype, hash, files, components, tokenizer, engine, openEngine };
}
