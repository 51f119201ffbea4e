/**
 * What a run is set up from: device, model, what is trained, and the trainer's
 * options.
 *
 * @module
 */
import process from "node:process";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { version } from "../../src/base/version.ts";
import { chooseDtype, Gpu, type StorageType } from "../../src/gpu/gpu.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import { userTuneStore } from "../../src/host/cache.ts";
import { readShortFile } from "../../src/host/files.ts";
import { alphasCumprod } from "../../src/samplers/noise_levels.ts";
import { EDITS, parseEdits } from "../../src/train/data/edit_prompts.ts";
import type { SampleOptions } from "../../src/train/data/training_sample.ts";
import type { Communicator } from "../../src/train/distributed/communicator.ts";
import type { DrawOptions } from "../../src/train/draws.ts";
import type { LoopOptions } from "../../src/train/loop.ts";
import { DEFAULT_LOSS_SCALING } from "../../src/train/optimiser/optimiser.ts";
import type { TrainerOptions } from "../../src/train/trainer.ts";
import type { CachePlace } from "./data/cache.ts";
import { type OpenedModel, openModel } from "./model.ts";
import { stageOf, type TrainValues } from "./options.ts";
import { optimiserOptions, scheduleOf } from "./settings.ts";
import { type Trained, trainedOf } from "./trained.ts";

/** Device, model, and what is trained of it. */
export interface Setup {
  /** Options. */
  readonly values: TrainValues;
  /** The device. */
  readonly gpu: Gpu;
  /** Storage type of activations and frozen weights. */
  readonly storage: StorageType;
  /** Chooses kernels. */
  readonly tuner: Tuner;
  /** The model, with the adapter that training starts from. */
  readonly model: OpenedModel;
  /** What is trained. */
  readonly trained: Trained;
  /** What samples are like. */
  readonly samples: SampleOptions;
}

/**
 * Opens device and model.
 *
 * @param folder the model's
 * @param stack owns them
 * @throws {MasterWeaverError} `no-adapter`, `bad-option`, `bad-model`, `bad-checkpoint`, `cannot-read`
 */
export async function openSetup(
  values: TrainValues,
  folder: string,
  stack: AsyncDisposableStack,
): Promise<Setup> {
  const gpu = stack.use(await Gpu.open());
  const wanted = values["mixed-precision"] === "fp16" ? "f16" : "f32";
  const storage = chooseDtype(gpu, wanted);
  const tuner = new Tuner(gpu, values.tune, userTuneStore());
  const model = stack.use(
    await openModel(folder, values["adapter-path"], storage),
  );
  const { prediction } = model.components.unet.config.scheduler;
  if (prediction !== "epsilon") {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot train ${folder}: its UNet predicts ${prediction}, expected epsilon, the noise`,
    );
  }
  const stage = stageOf(values);
  const trained = trainedOf(values, model.components, { trained: { stage } });
  const samples = sampleOptions(values, model);
  return { values, gpu, storage, tuner, model, trained, samples };
}

/** Rows and columns of the latents. */
function latentSize({ model, samples }: Setup): readonly [number, number] {
  const side = samples.resolution / model.components.vae.config.factor;
  return [side, side];
}

/** The trainer's options, for one of several ranks. */
export function trainerOptions(
  setup: Setup,
  communicator: Communicator,
): TrainerOptions {
  const { size: ranks } = communicator;
  const { values, gpu, storage, tuner, model, trained } = setup;
  const accumulation = values["gradient-accumulation-steps"];
  return {
    gpu,
    storage,
    tuner,
    components: model.components,
    trainable: trained.trainable,
    batch: values["train-batch-size"],
    latentSize: latentSize(setup),
    accumulation: accumulation * ranks,
    ...trained.losses,
    recompute: values.recompute,
    optimiser: {
      ...optimiserOptions(values),
      lossScaling: storage === "f16" ? DEFAULT_LOSS_SCALING : undefined,
    },
    average: values["ema-decay"] !== undefined,
    logged: 64 * accumulation,
    meanOverRanks: ranks === 1 ? undefined : async (values) => {
      await communicator.allReduceSum(values);
      values.forEach((value, i) => values[i] = value / ranks);
    },
  };
}

/** What of the loop's options the command line decides. */
export function loopOptions(
  setup: Setup,
  ranks: number,
): Omit<
  LoopOptions,
  "trainer" | "source" | "keeper" | "communicator" | "edits"
> {
  const { values, model } = setup;
  const { unet, vae } = model.components;
  const size = latentSize(setup);
  const draws: DrawOptions = {
    seed: values.seed,
    latents: [...size, unet.config.channels],
    alphas: alphasCumprod(unet.config.scheduler),
    timesteps: values.timesteps,
    snrGamma: values["snr-gamma"],
  };
  return {
    stage: stageOf(values),
    batch: values["train-batch-size"],
    accumulation: values["gradient-accumulation-steps"],
    draws,
    schedule: scheduleOf(values, ranks),
    averageDecay: values["ema-decay"],
    assembly: {
      tokenize: (prompt: string) => model.tokenizer.encode(prompt).ids,
      scalingFactor: vae.config.scalingFactor,
      latentSize: size,
    },
  };
}

function sampleOptions(
  values: TrainValues,
  { components: { unet, vae, vision } }: OpenedModel,
): SampleOptions {
  const { factor } = vae.config;
  const resolution = values.resolution ?? unet.config.sampleSize * factor;
  if (resolution % factor !== 0) {
    throw new MasterWeaverError(
      "bad-option",
      `Option --resolution is ${resolution}, expected a multiple of ${factor}`,
    );
  }
  const { imageSize, preprocess } = vision.config;
  return {
    stage: stageOf(values),
    resolution,
    faceSide: resolution,
    visionSide: imageSize,
    mean: preprocess.mean,
    std: preprocess.std,
  };
}

/** Whether steps mix identities, but have one sample: its own identity is all there is. */
export function mixesWithItself({ values, trained }: Setup): boolean {
  return values["train-batch-size"] === 1 &&
    trained.losses.background !== false;
}

/** What is said of it. */
export const ONE_SAMPLE =
  "With one sample a step identities cannot be mixed: the background loss is 0; give --train-batch-size 2 or more";

/** GB of latents and features that are kept, where nothing else is said. */
export const CACHE_GB = 20;

/** Where latents and features are kept; undefined where nothing is to be. */
export function cachePlace(
  { values, storage, model: { components: { vae, vision } } }: Setup,
  out: string,
): CachePlace | undefined {
  if (values["cache-size"] === 0) return undefined;
  return {
    root: values.cache ?? `${out}/cache`,
    components: {
      // The VAE computes in f32, whatever the rest does.
      image: vae.file.hash,
      // Marked in hexadecimal digits, as names of folders are: f16's features
      // must not reach a run in f32.
      reference: `${vision.file.hash}${storage === "f16" ? "f16" : ""}`,
    },
  };
}

/** Most bytes of a file of edits. */
const MAX_EDITS_BYTES = 2 ** 20;

/** The edits of the editing-direction loss: the reference's, or those of a file. */
export async function readEdits(
  values: TrainValues,
): Promise<readonly string[]> {
  const path = values["edit-prompts"];
  if (path === undefined) return EDITS;
  const text = new TextDecoder().decode(
    await readShortFile(path, MAX_EDITS_BYTES),
  );
  return parseEdits(text, path);
}

/** What computes a run, for its report. */
export function environmentOf(
  { gpu: { info }, storage }: Setup,
): Record<string, string> {
  return {
    MasterWeaver: version,
    Deno: Deno.version.deno,
    adapter: info.description || info.device || "unknown",
    activations: storage,
    platform: `${process.platform} ${process.arch}`,
  };
}
