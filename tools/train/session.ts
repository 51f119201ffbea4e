/**
 * A training run from start, or from its last checkpoint, to its end.
 *
 * @module
 */
import process from "node:process";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { throwIfAborted, untilAborted } from "../../src/base/progress.ts";
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
import { anyRank, requireSame } from "../../src/train/distributed/agreement.ts";
import {
  type Communicator,
  singleProcess,
} from "../../src/train/distributed/communicator.ts";
import type { DrawOptions } from "../../src/train/draws.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { DEFAULT_LOSS_SCALING } from "../../src/train/optimiser/optimiser.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { type CachePlace, FeatureCache } from "./data/cache.ts";
import { tolerant } from "./data/keeper.ts";
import { DataLoader } from "./data/loader.ts";
import { drawPreviewGrid } from "./grids.ts";
import { LossReader } from "./loss_reader.ts";
import { explainNonFinite } from "./non_finite.ts";
import { type OpenedModel, openModel } from "./model.ts";
import { required, stageOf, type TrainValues } from "./options.ts";
import { noOutput, openOutput, type RunOutput } from "./output.ts";
import { TrainLines } from "./run/train_lines.ts";
import {
  optimiserOptions,
  optionsOf,
  runSettingsOf,
  scheduleOf,
} from "./settings.ts";
import { checkpointState, readArrays, restore, shareState } from "./state.ts";
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
  /** Ids that were left out, as their files are broken. */
  readonly left_out: number;
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
  readonly output: RunOutput;
  readonly loop: TrainingLoop;
  readonly communicator: Communicator;
}

/** What a run shares with others. */
export interface TrainOptions {
  /** Stops it between two updates, after saving. */
  readonly signal: AbortSignal;
  /** The ranks that train together; this process alone by default. */
  readonly communicator?: Communicator;
  /** Is told of the folder of the newest checkpoint. */
  readonly onCheckpoint?: (last: () => string | undefined) => void;
}

/**
 * Trains.
 *
 * @throws {MasterWeaverError} `bad-option`, `bad-data`, `bad-model`, `busy`, `cannot-read`, `cannot-write`, `non-finite`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function train(
  values: TrainValues,
  { signal, communicator = singleProcess, onCheckpoint }: TrainOptions,
): Promise<TrainResult> {
  const { model: folder, data, out } = required(values, "model", "data", "out");
  const stage = stageOf(values);
  if (stage === 2 && values["adapter-path"] === undefined) {
    required(values, "adapter-path");
  }
  const schedule = scheduleOf(values, communicator.size);
  const edits = await readEdits(values);
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

  const { rank, size: ranks } = communicator;
  // Ranks stop together, between two updates.
  const ownSignal = ranks === 1 ? signal : undefined;
  await requireSame(communicator, { options: optionsOf(values), hash });

  // The data before all else: what is wrong with it is said at once.
  const accumulation = values["gradient-accumulation-steps"];
  const batch = values["train-batch-size"];
  const samples = sampleOptions(values, model);
  const place = cachePlace(values, model, out);
  const loader = stack.use(
    await DataLoader.open(data, {
      samples,
      seed: values.seed,
      batch,
      shard: { rank, ranks },
      workers: values["dataloader-num-workers"] ??
        Math.min(16, navigator.hardwareConcurrency),
      cache: place,
      onBroken: (id, why) => output.warn(`${id} is left out: ${why}`),
    }),
  );

  const total = values["max-train-steps"];
  const lines = stack.use(new TrainLines(total));
  const say = (line: string) => values.quiet ? undefined : lines.warn(line);
  const settings = runSettingsOf(
    values,
    ranks,
    { path: folder, hash },
    data,
  );
  const output = rank > 0 ? noOutput : stack.use(
    await openOutput(out, settings, {
      keepLast: values["keep-last"],
      keepEvery: values["keep-every"],
      warn: say,
    }),
  );
  onCheckpoint?.(() => output.lastCheckpoint);
  // The others put features into the run's folder: not before it is one.
  await communicator.barrier();
  const cache = place && await FeatureCache.open(place, {
    maxBytes: (values["cache-size"] ?? CACHE_GB) * 1e9,
  });

  const { factor, scalingFactor } = components.vae.config;
  const side = samples.resolution / factor;
  const latentSize = [side, side] as const;
  // Stopped now, nothing is lost: what is being made is left to the process's end.
  const trainer = stack.use(
    await untilAborted(
      Trainer.make({
        gpu,
        storage,
        tuner,
        components,
        trainable: trained.trainable,
        batch,
        latentSize,
        accumulation: accumulation * ranks,
        ...trained.losses,
        recompute: values.recompute,
        optimiser: {
          ...optimiserOptions(values),
          lossScaling: storage === "f16" ? DEFAULT_LOSS_SCALING : undefined,
        },
        average: values["ema-decay"] !== undefined,
        logged: 64 * accumulation,
      }),
      ownSignal,
    ),
  );
  const { checkpoint } = output;
  if (checkpoint) restore(trainer, checkpoint);
  const first = await shareState(trainer, communicator, checkpoint?.step ?? 0);

  const draws: DrawOptions = {
    seed: values.seed,
    latents: [side, side, components.unet.config.channels],
    alphas: alphasCumprod(components.unet.config.scheduler),
    timesteps: values.timesteps,
    snrGamma: values["snr-gamma"],
  };
  const loop = new TrainingLoop({
    trainer,
    source: { batch: (step) => untilAborted(loader.batch(step), ownSignal) },
    keeper: cache && tolerant(cache, (line) => output.warn(line)),
    stage,
    batch,
    accumulation,
    draws,
    edits,
    schedule,
    averageDecay: values["ema-decay"],
    communicator,
    assembly: {
      tokenize: (prompt: string): EncodedPrompt["ids"] =>
        tokenizer.encode(prompt).ids,
      scalingFactor,
      latentSize,
    },
  });
  await output.begin({
    step: first,
    total,
    title: `MasterWeaver, ${
      values.train === "adapter" ? `stage ${stage}` : values.train
    }`,
    environment: environmentOf(gpu, storage),
    lines: values.quiet ? undefined : lines,
    tensorboard: values.tensorboard,
  });
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
    output,
    loop,
    communicator,
  };
  try {
    const step = await runUpdates(session, first, signal);
    const weights = step < total
      ? []
      : await output.saveFinal(async () =>
        await trained.files(await readTrained(trainer))
      );
    const status = step < total ? "stopped" : "finished";
    await output.finish(status);
    const left_out = loader.broken.size;
    return { run: out, step, total, status, weights, left_out };
  } catch (error) {
    await output.finish("failed");
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
  const { values, gpu, trainer, output, loop, communicator } = session;
  const total = values["max-train-steps"];
  const losses = new LossReader({
    trainer,
    accumulation: values["gradient-accumulation-steps"],
    first,
    learningRate: (update) => loop.learningRate(update),
    record: (record) => output.record(record),
    explain: (first, count) => explainNonFinite(session, first, count),
    communicator,
  });
  let saved = first;
  const save = async (step: number) => {
    await losses.read();
    if (step === saved) return;
    if (await output.save(() => checkpointOf(session, step))) saved = step;
  };
  // A stop is heard within a step, whose update is then left out; but ranks stop
  // together, after an update.
  const isAlone = communicator.size === 1;
  const check = () => isAlone ? throwIfAborted(signal) : undefined;
  const isStopped = () => anyRank(communicator, signal.aborted);
  let done = first;
  while (done < total && !await isStopped()) {
    try {
      await loop.update(done, new Pace(gpu, check));
    } catch (error) {
      if (!signal.aborted || !isAlone) throw error;
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
  const { values, trainer, trained, output, data, samples } = session;
  try {
    await output.grid(step, async () =>
      await drawPreviewGrid({
        ...session,
        components: trained.components(await readTrained(trainer)),
        tokenizer: session.model.tokenizer,
        root: data,
        samples,
        batch: values["train-batch-size"],
        seed: values.seed,
        step,
        number: Math.ceil(step / Math.max(1, values["vis-steps"])) - 1,
      }, { signal }));
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof MasterWeaverError)) throw error;
    output.warn(`The grid of step ${step} was not drawn: ${error.message}`);
  }
}

/** The trained parameters; their running mean, where one is kept. */
function readTrained({ blocks }: Trainer): Promise<Map<string, Float32Array>> {
  const kind = blocks.kinds.includes("average") ? "average" : "parameters";
  return blocks.read(kind);
}

async function checkpointOf(
  { trainer, trained, values, loop }: Session,
  step: number,
) {
  return {
    step,
    arrays: await readArrays(trainer),
    state: checkpointState(
      values,
      step,
      await trainer.optimiser.readState(),
      loop.learningRate(step),
    ),
    weights: await trained.files(await readTrained(trainer)),
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
