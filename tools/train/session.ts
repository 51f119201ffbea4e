/**
 * A training run from start, or from its last checkpoint, to its end.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { throwIfAborted, untilAborted } from "../../src/base/progress.ts";
import { Pace } from "../../src/gpu/pace.ts";
import { anyRank, requireSame } from "../../src/train/distributed/agreement.ts";
import {
  type Communicator,
  singleProcess,
} from "../../src/train/distributed/communicator.ts";
import { TrainingLoop } from "../../src/train/loop.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { BrokenIds } from "./data/broken_ids.ts";
import { withTrainFlags } from "./advice.ts";
import { FeatureCache } from "./data/cache.ts";
import { tolerant } from "./data/keeper.ts";
import { DataLoader } from "./data/loader.ts";
import { drawPreviewGrid } from "./grids.ts";
import { headerLines } from "./header.ts";
import { probeFaces } from "./face_probe.ts";
import { LossReader } from "./loss_reader.ts";
import { explainNonFinite } from "./non_finite.ts";
import {
  checkEffects,
  required,
  samplesOfUpdate,
  stageOf,
  type TrainValues,
} from "./options.ts";
import { noOutput, openOutput, type RunOutput } from "./output.ts";
import { TrainLines } from "./run/train_lines.ts";
import { optionsOf, runSettingsOf, scheduleOf } from "./settings.ts";
import {
  CACHE_GB,
  cachePlace,
  environmentOf,
  loopOptions,
  mixesWithItself,
  ONE_SAMPLE,
  openSetup,
  readEdits,
  type Setup,
  trainerOptions,
} from "./setup.ts";
import {
  checkpointState,
  readArrays,
  requireFinite,
  restore,
  shareState,
} from "./state.ts";
import { trainedFiles } from "./trained.ts";

/** What a run came to. */
export interface TrainResult {
  /** The run's folder. */
  readonly run: string;
  /** Updates that were done before it went on. */
  readonly from: number;
  /** Updates that were done in the end. */
  readonly step: number;
  /** Updates to do. */
  readonly total: number;
  /** `stopped` where Ctrl-C ended it. */
  readonly status: "finished" | "stopped";
  /** The step of the last checkpoint that was saved or loaded; null where there is none. */
  readonly saved: number | null;
  /** Why the last checkpoint of a run that was stopped was not saved. */
  readonly not_saved?: string;
  /** Trained weights: those of the end, or of the step after which it stopped. */
  readonly weights: readonly string[];
  /** Ids that were left out, as their files are broken. */
  readonly left_out: number;
}

/** Everything that an update needs. */
interface Session extends Setup {
  readonly trainer: Trainer;
  readonly data: string;
  /** Ids of the data set. */
  readonly ids: readonly string[];
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
  if (stage === 2) required(values, "adapter-path");
  checkEffects(values);
  const { rank, size: ranks } = communicator;
  // Refused before anything is opened: rates and edits that cannot be.
  scheduleOf(values, ranks);
  const edits = await readEdits(values);
  await using stack = new AsyncDisposableStack();
  const setup = await openSetup(values, folder, stack);
  const { hash } = setup.model;
  // Ranks stop together, between two updates.
  const ownSignal = ranks === 1 ? signal : undefined;
  await requireSame(communicator, { options: optionsOf(values), hash });

  // The data before all else: what is wrong with it is said at once.
  const place = cachePlace(setup, out);
  const loader = stack.use(
    await DataLoader.open(data, {
      samples: setup.samples,
      seed: values.seed,
      batch: values["train-batch-size"],
      shard: { rank, ranks },
      workers: values["dataloader-num-workers"] ??
        Math.min(16, navigator.hardwareConcurrency),
      cache: place,
      onBroken: (id, why) => broken.add(id, why),
    }),
  );

  const total = values["max-train-steps"];
  const lines = stack.use(new TrainLines(total));
  const settings = runSettingsOf(
    values,
    ranks,
    { path: folder, hash },
    data,
    loader.ids,
  );
  const output = rank > 0 ? noOutput : stack.use(
    await openOutput(out, settings, {
      total,
      keepLast: values["keep-last"],
      keepEvery: values["keep-every"],
      warn: (line) => values.quiet ? undefined : lines.warn(line),
    }),
  );
  const broken = new BrokenIds((line) => output.warn(line));
  onCheckpoint?.(() => output.lastCheckpoint);
  // The others put features into the run's folder: not before it is one.
  await communicator.barrier();
  const cache = place && await FeatureCache.open(place, {
    maxBytes: (values["cache-size"] ?? CACHE_GB) * 1e9,
  });

  // Stopped now, nothing is lost: what is being made is left to the process's end.
  const trainer = stack.use(
    await untilAborted(
      Trainer.make(trainerOptions(setup, communicator)),
      ownSignal,
    ),
  );
  const { checkpoint } = output;
  if (checkpoint) restore(trainer, checkpoint);
  const first = await shareState(trainer, communicator, checkpoint?.step ?? 0);
  const loop = new TrainingLoop({
    ...loopOptions(setup, ranks),
    trainer,
    source: { batch: (step) => untilAborted(loader.batch(step), ownSignal) },
    keeper: cache && tolerant(cache, (line) => output.warn(line)),
    edits,
    communicator,
  });
  await output.begin({
    step: first,
    total,
    title: `MasterWeaver, ${
      values.train === "adapter" ? `stage ${stage}` : values.train
    }`,
    environment: environmentOf(setup),
    lines: values.quiet ? undefined : lines,
    tensorboard: values.tensorboard,
  });
  if (mixesWithItself(setup)) output.warn(ONE_SAMPLE);
  const { ids } = loader;
  if (rank === 0 && !values.quiet && first < total) {
    const resumed = checkpoint?.step;
    headerLines({ ...setup, trainer, ids, ranks, out, resumed })
      .forEach((line) => lines.note(line));
  }
  const session = { ...setup, trainer, data, ids, output, loop, communicator };
  try {
    const { step, ...saves } = await runUpdates(session, first, signal);
    const weights = step < total
      ? await output.savedWeights(step)
      : await output.saveFinal(async () =>
        await trainedFiles(setup.trained, trainer.blocks)
      );
    const status = step < total ? "stopped" : "finished";
    broken.finish();
    await output.finish(status);
    const left_out = loader.broken.size;
    return {
      run: out,
      from: first,
      step,
      total,
      status,
      ...saves,
      weights,
      left_out,
    };
  } catch (error) {
    await output.finish("failed");
    throw error;
  }
}

/**
 * Runs updates until the last, or until it is stopped; saves and draws grids on
 * the way.
 *
 * @returns updates that were done, and what is saved of them
 */
async function runUpdates(
  session: Session,
  first: number,
  signal: AbortSignal,
): Promise<Pick<TrainResult, "step" | "saved" | "not_saved">> {
  const { values, gpu, trainer, output, loop, communicator, ids } = session;
  const total = values["max-train-steps"];
  const [parameter] = session.trained.trainable.parameters;
  const rateFactor = parameter.learningRateFactor ?? 1;
  const losses = new LossReader({
    trainer,
    accumulation: values["gradient-accumulation-steps"],
    epochsPerUpdate: samplesOfUpdate(values, communicator.size) / ids.length,
    background: session.trained.losses.background !== false,
    first,
    // As it is used: stage 2 trains at a fiftieth of what is given.
    learningRate: (update) => rateFactor * loop.learningRate(update),
    record: (record) => output.record(record),
    explain: (first, count) => explainNonFinite(session, first, count),
    communicator,
  });
  let saved = output.checkpoint ? first : null;
  const save = async (step: number) => {
    await losses.read();
    const content = () => checkpointOf(session, step);
    const write = () => output.save(content, step === total);
    if (await losses.untimed(write)) saved = step;
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
    const isLast = done === total;
    const every = values["vis-steps"];
    const isShown = every > 0 && (done % every === 0 || isLast);
    if (isShown) {
      // What is queued belongs to the updates' time, not to the probe's.
      await gpu.idle();
      const probe = () => probeFaces(session, done, check);
      losses.add(done, await losses.untimed(probe));
    }
    if (losses.isDue) await losses.read();
    if (done % values["save-steps"] === 0 || isLast) await save(done);
    if (isShown) {
      await losses.read();
      await losses.untimed(() => drawGrid(session, done, signal));
    }
  }
  await losses.read();
  // Nothing was done that could be lost before the first update.
  if (done >= total || done === (saved ?? first)) return { step: done, saved };
  const not_saved = await output.saveStopped(() => checkpointOf(session, done));
  return not_saved === undefined
    ? { step: done, saved: done }
    : { step: done, saved, not_saved };
}

/** Draws a grid; training goes on where that fails. */
async function drawGrid(
  session: Session,
  step: number,
  signal: AbortSignal,
): Promise<void> {
  const { values, trainer, trained, output, data, samples } = session;
  try {
    output.showWork(`Drawing the grid of step ${step}…`);
    await output.grid(step, async () =>
      await drawPreviewGrid({
        ...session,
        components: trained.components(await readShown(trainer)),
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
    output.warn(
      `The grid of step ${step} was not drawn: ${
        withTrainFlags(error.message)
      }`,
    );
  }
}

/** What images are shown of: the running mean where one is kept, else the parameters. */
function readShown({ blocks }: Trainer): Promise<Map<string, Float32Array>> {
  const kind = blocks.kinds.includes("average") ? "average" : "parameters";
  return blocks.read(kind);
}

async function checkpointOf(
  { trainer, trained, values, loop, output }: Session,
  step: number,
) {
  const arrays = await readArrays(trainer);
  // A loss shows what an update did only at the next step.
  requireFinite(arrays, step, output.lastCheckpoint);
  return {
    step,
    arrays,
    state: checkpointState(
      values,
      step,
      await trainer.optimiser.readState(),
      loop.learningRate(step),
    ),
    weights: await trainedFiles(trained, trainer.blocks),
  };
}
