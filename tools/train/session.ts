/**
 * A training run from start, or from its last checkpoint, to its end.
 *
 * @module
 */
import process from "node:process";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { throwIfAborted } from "../../src/base/progress.ts";
import { version } from "../../src/base/version.ts";
import { chooseDtype, Gpu, type StorageType } from "../../src/gpu/gpu.ts";
import { Pace } from "../../src/gpu/pace.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import { userTuneStore } from "../../src/host/cache.ts";
import { readShortFile } from "../../src/host/files.ts";
import { alphasCumprod } from "../../src/samplers/noise_levels.ts";
import type { EncodedPrompt } from "../../src/text/tokenizer.ts";
import { EDITS, parseEdits } from "../../src/train/data/edit_prompts.ts";
import type { SampleOptions } from "../../src/train/data/training_sample.ts";
import type { DrawOptions } from "../../src/train/draws.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { DEFAULT_LOSS_SCALING } from "../../src/train/optimiser/optimiser.ts";
import type { BlockKind } from "../../src/train/optimiser/parameter_blocks.ts";
import type { Schedule } from "../../src/train/optimiser/schedules.ts";
import { stageSettings } from "../../src/train/stages.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { type CachePlace, FeatureCache } from "./data/cache.ts";
import { DataLoader } from "./data/loader.ts";
import { drawPreviewGrid } from "./grids.ts";
import { LossReader } from "./loss_reader.ts";
import { type OpenedModel, openModel } from "./model.ts";
import {
  learningRateOf,
  required,
  stageOf,
  type TrainValues,
} from "./options.ts";
import { type ArrayToWrite, type TrainCheckpoint } from "./run/checkpoint.ts";
import { Recorder } from "./run/recorder.ts";
import { RunFolder } from "./run/run_folder.ts";
import type { OptionValue } from "./run/settings.ts";
import { TrainLines } from "./run/train_lines.ts";
import { optimiserOptions } from "./settings.ts";
import { type Trained, trainedOf } from "./trained.ts";

/** What a run came to. */
export interface TrainResult {
  /** The run's folder. */
  readonly run: string;
  /** Updates that were done. */
  readonly step: number;
  /** Updates to do. */
  readonly total: number;
  /** `stopped` where Ctrl-C ended it. */
  readonly status: "finished" | "stopped";
  /** Trained weights, where it is finished. */
  readonly weights: readonly string[];
}

/** Everything that an update needs. */
interface Session {
  readonly values: TrainValues;
  readonly gpu: Gpu;
  readonly storage: StorageType;
  readonly tuner: Tuner;
  readonly model: OpenedModel;
  readonly trained: Trained;
  readonly trainer: Trainer;
  readonly samples: SampleOptions;
  readonly data: string;
  readonly run: RunFolder;
  readonly recorder: Recorder;
  readonly loop: TrainingLoop;
}

/**
 * Trains.
 *
 * @param signal stops it between two updates, after saving
 * @throws {MasterWeaverError} `bad-option`, `bad-data`, `bad-model`, `busy`, `cannot-read`, `cannot-write`, `non-finite`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function train(
  values: TrainValues,
  signal: AbortSignal,
): Promise<TrainResult> {
  const { model: folder, data, out } = required(values, "model", "data", "out");
  const stage = stageOf(values);
  if (stage === 2 && values["adapter-path"] === undefined) {
    required(values, "adapter-path");
  }
  await using stack = new AsyncDisposableStack();
  const gpu = stack.use(await Gpu.open());
  const wanted = values["mixed-precision"] === "fp16" ? "f16" : "f32";
  const storage = chooseDtype(gpu, wanted);
  const tuner = new Tuner(gpu, values.tune, userTuneStore());
  const model = stack.use(
    await openModel(folder, values["adapter-path"], storage),
  );
  const { components, tokenizer, hash } = model;
  const trained = trainedOf(values, components, { trained: { stage } });

  const total = values["max-train-steps"];
  const lines = stack.use(new TrainLines(total));
  const say = (line: string) => values.quiet ? undefined : lines.warn(line);
  const run = stack.use(
    await RunFolder.open(out, {
      options: optionsOf(values),
      model: { path: folder, hash },
      data,
      versions: { masterweaver: version, deno: Deno.version.deno },
    }, {
      keepLast: values["keep-last"],
      keepEvery: values["keep-every"],
      warn: say,
    }),
  );
  const { checkpoint, broken } = await run.latest();
  for (const why of broken) run.warn(why);
  const first = checkpoint?.step ?? 0;

  // The data before the GPU's work: what is wrong with it is said at once.
  const accumulation = values["gradient-accumulation-steps"];
  const batch = values["train-batch-size"];
  const samples = sampleOptions(values, model);
  const place = cachePlace(values, model, out);
  const cache = place && await FeatureCache.open(place, {
    maxBytes: (values["cache-size"] ?? CACHE_GB) * 1e9,
  });
  const loader = stack.use(
    await DataLoader.open(data, {
      samples,
      seed: values.seed,
      batch,
      workers: values["dataloader-num-workers"] ??
        Math.min(16, navigator.hardwareConcurrency),
      cache: place,
      onBroken: (id, why) => run.warn(`${id} is left out: ${why}`),
    }),
  );

  const { lambdaNoise, lambdaEdit } = stageSettings(
    stage,
    values["lambda-edit"],
  );
  const { factor, scalingFactor } = components.vae.config;
  const side = samples.resolution / factor;
  const latentSize = [side, side] as const;
  const trainer = stack.use(
    await Trainer.make({
      gpu,
      storage,
      tuner,
      components,
      trainable: trained.trainable,
      batch,
      latentSize,
      accumulation,
      lambdaNoise,
      lambdaEdit,
      recompute: values.recompute,
      optimiser: {
        ...optimiserOptions(values),
        lossScaling: storage === "f16" ? DEFAULT_LOSS_SCALING : undefined,
      },
      average: values["ema-decay"] !== undefined,
      logged: 64 * accumulation,
    }),
  );
  if (checkpoint) restore(trainer, checkpoint);

  const schedule: Schedule = {
    name: values["lr-scheduler"],
    learningRate: learningRateOf(values, 1),
    warmupSteps: values["lr-warmup-steps"],
    maxSteps: total,
  };
  const draws: DrawOptions = {
    seed: values.seed,
    latents: [side, side, components.unet.config.channels],
    alphas: alphasCumprod(components.unet.config.scheduler),
    timesteps: values.timesteps,
    snrGamma: values["snr-gamma"],
  };
  const loop = new TrainingLoop({
    trainer,
    source: loader,
    keeper: cache,
    stage,
    batch,
    accumulation,
    draws,
    edits: await readEdits(values),
    schedule,
    averageDecay: values["ema-decay"],
    assembly: {
      tokenize: (prompt: string): EncodedPrompt["ids"] =>
        tokenizer.encode(prompt).ids,
      scalingFactor,
      latentSize,
    },
  });
  const recorder = stack.use(
    await Recorder.open(run, {
      step: first,
      total,
      title: `MasterWeaver, ${
        values.train === "adapter" ? `stage ${stage}` : values.train
      }`,
      environment: environmentOf(gpu, storage),
      lines: values.quiet ? undefined : lines,
      tensorboard: values.tensorboard,
    }),
  );
  const session: Session = {
    values,
    gpu,
    storage,
    tuner,
    model,
    trained,
    trainer,
    samples,
    data,
    run,
    recorder,
    loop,
  };
  try {
    const step = await runUpdates(session, first, signal);
    const weights = step < total
      ? []
      : await run.saveFinal(await trained.files(await readTrained(trainer)));
    const status = step < total ? "stopped" : "finished";
    await recorder.finish(status);
    return { run: out, step, total, status, weights };
  } catch (error) {
    await recorder.finish("failed");
    throw error;
  }
}

/**
 * Runs updates until the last, or until it is stopped; saves and draws grids on
 * the way.
 *
 * @returns updates that were done
 */
async function runUpdates(
  session: Session,
  first: number,
  signal: AbortSignal,
): Promise<number> {
  const { values, gpu, trainer, run, recorder, loop } = session;
  const total = values["max-train-steps"];
  const losses = new LossReader({
    trainer,
    accumulation: values["gradient-accumulation-steps"],
    first,
    learningRate: (update) => loop.learningRate(update),
    record: (record) => recorder.record(record),
  });
  const save = async (step: number) => {
    await losses.read();
    await run.trySave(await checkpointOf(session, step));
  };
  let done = first;
  while (done < total && !signal.aborted) {
    // A stop is heard within a step: the parameters are still those of `done`.
    const pace = new Pace(gpu, () => throwIfAborted(signal));
    try {
      await loop.update(done, pace);
    } catch (error) {
      if (!signal.aborted) throw error;
      break;
    }
    losses.queued(++done);
    if (losses.isDue) await losses.read();
    const isLast = done === total;
    if (done % values["save-steps"] === 0 || isLast) await save(done);
    const every = values["vis-steps"];
    if (every > 0 && (done % every === 0 || isLast)) {
      await drawGrid(session, done, signal);
    }
  }
  if (done < total) await save(done);
  return done;
}

/** Draws a grid; training goes on where that fails. */
async function drawGrid(
  session: Session,
  step: number,
  signal: AbortSignal,
): Promise<void> {
  const { values, trainer, trained, run, recorder, data, samples } = session;
  try {
    const { image, captions } = await drawPreviewGrid({
      ...session,
      components: trained.components(await readTrained(trainer)),
      tokenizer: session.model.tokenizer,
      root: data,
      samples,
      batch: values["train-batch-size"],
      seed: values.seed,
      step,
      number: Math.ceil(step / Math.max(1, values["vis-steps"])) - 1,
    }, { signal });
    await recorder.grid(step, image, captions);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof MasterWeaverError)) throw error;
    run.warn(`The grid of step ${step} was not drawn: ${error.message}`);
  }
}

/** The trained parameters; their running mean, where one is kept. */
function readTrained({ blocks }: Trainer): Promise<Map<string, Float32Array>> {
  const kind = blocks.kinds.includes("average") ? "average" : "parameters";
  return blocks.read(kind);
}

/** Kinds of arrays that a checkpoint holds. */
function savedKinds({ blocks }: Trainer): BlockKind[] {
  return blocks.kinds.filter((kind) => kind !== "gradients");
}

async function checkpointOf(
  { trainer, trained, values, loop }: Session,
  step: number,
) {
  const arrays: Record<string, ArrayToWrite> = {};
  for (const kind of savedKinds(trainer)) {
    const read = await trainer.blocks.read(kind);
    for (const [name, data] of read) {
      const { spec: { shape } } = trainer.blocks.slice(name, kind);
      arrays[`${kind}/${name}`] = {
        shape,
        data: data as Float32Array<ArrayBuffer>,
      };
    }
  }
  const accumulation = values["gradient-accumulation-steps"];
  return {
    step,
    arrays,
    state: {
      optimiser: { ...await trainer.optimiser.readState() },
      schedule: {
        name: values["lr-scheduler"],
        learningRate: loop.learningRate(step),
      },
      // Every draw depends on the seed and on the sample's number alone.
      random: { generator: "philox4x32-10", seed: values.seed },
      data: { batches: step * accumulation },
    },
    weights: await trained.files(await readTrained(trainer)),
  };
}

/** Puts a checkpoint's arrays and state back. */
function restore(trainer: Trainer, { arrays, state, folder }: TrainCheckpoint) {
  for (const kind of savedKinds(trainer)) {
    for (const name of trainer.blocks.names) {
      const array = arrays[`${kind}/${name}`];
      if (!array) {
        throw new MasterWeaverError(
          "bad-checkpoint",
          `Cannot go on from ${folder}: it has no ${kind} of ${name}`,
        );
      }
      trainer.blocks.write(name, array.data, kind);
    }
  }
  const { steps, lossScale, cleanSteps } = Object(state.optimiser);
  if (![steps, lossScale, cleanSteps].every(Number.isFinite)) {
    throw new MasterWeaverError(
      "bad-checkpoint",
      `Cannot go on from ${folder}: it has no state of the optimiser`,
    );
  }
  trainer.optimiser.writeState({ steps, lossScale, cleanSteps });
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

/** GB of latents and features that are kept. */
const CACHE_GB = 20;

/** Where latents and features are kept; undefined where nothing is to be. */
function cachePlace(
  values: TrainValues,
  { components: { vae, vision } }: OpenedModel,
  out: string,
): CachePlace | undefined {
  if (values["cache-size"] === 0) return undefined;
  return {
    root: values.cache ?? `${out}/cache`,
    components: { image: vae.file.hash, reference: vision.file.hash },
  };
}

/** Most bytes of a file of edits. */
const MAX_EDITS_BYTES = 2 ** 20;

async function readEdits(values: TrainValues): Promise<readonly string[]> {
  const path = values["edit-prompts"];
  if (path === undefined) return EDITS;
  const text = new TextDecoder().decode(
    await readShortFile(path, MAX_EDITS_BYTES),
  );
  return parseEdits(text, path);
}

/** Options as a run's folder keeps them. */
function optionsOf(values: TrainValues): Record<string, OptionValue> {
  const { json: _, quiet: __, out: ___, data: ____, model: _____, ...kept } =
    values;
  return Object.fromEntries(
    Object.entries(kept).map(([name, value]) => [name, value ?? null]),
  );
}

function environmentOf(
  { info }: Gpu,
  storage: StorageType,
): Record<string, string> {
  return {
    MasterWeaver: version,
    Deno: Deno.version.deno,
    adapter: info.description || info.device || "unknown",
    activations: storage,
    platform: `${process.platform} ${process.arch}`,
  };
}
