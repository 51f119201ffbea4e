/**
 * Takes a run back from PyTorch: makes a run's folder from what accelerate's
 * `save_state` wrote.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import {
  badCheckpoint,
  readFloats,
} from "../../../src/checkpoints/checkpoint.ts";
import { inModuleOrder } from "../../../src/checkpoints/module_order.ts";
import { checkpointKey } from "../../../src/checkpoints/tables/identity_adapter.ts";
import type { Components } from "../../../src/components/networks.ts";
import { reason } from "../../../src/host/reasons.ts";
import { learningRateAt } from "../../../src/train/optimiser/schedules.ts";
import { stageSettings } from "../../../src/train/stages.ts";
import {
  readFloats as readWeights,
  type Trainable,
} from "../../../src/train/step/trainable.ts";
import { openModel } from "../model.ts";
import { required, stageOf, type TrainValues } from "../options.ts";
import type { TrainArray } from "../run/checkpoint.ts";
import { RunFolder } from "../run/run_folder.ts";
import { runSettingsOf, scheduleOf } from "../settings.ts";
import { checkpointState } from "../state.ts";
import { trainedOf, type TrainedValues } from "../trained.ts";
import {
  checkShape,
  type ExpectedParameter,
  readOptimiser,
} from "./folder_state.ts";
import { type FolderWeights, openFolderWeights } from "./folder_weights.ts";
import {
  lacksFile,
  optimiserState,
  updatesDone,
  warnOfChanges,
} from "./progress.ts";
import { FILES, type ParameterMoments } from "./state_dicts.ts";

/** What was taken back. */
export interface TakenBack {
  /** The run's folder. */
  readonly run: string;
  /** Updates that were done. */
  readonly step: number;
  /** The folder of its checkpoint. */
  readonly checkpoint: string;
  /** What the user should know, one line each. */
  readonly warnings: readonly string[];
}

/** A parameter in training; its name is the path in the adapter's `.pt`. */
interface Parameter extends ExpectedParameter {
  /** Its name in our checkpoint. */
  readonly trainedAs: string;
}

/**
 * Makes a run's folder with one checkpoint.
 *
 * @param values with `--from-pytorch`, and all that a run is given
 * @param ranks that will train together
 * @throws {MasterWeaverError} `bad-option` where a file is missing, or there is a run already; `bad-checkpoint` where one does not fit; `bad-model`, `cannot-read`, `cannot-write`
 */
export async function fromPyTorch(
  values: TrainValues,
  ranks = 1,
): Promise<TakenBack> {
  const given = required(values, "from-pytorch", "model", "data", "out");
  const { "from-pytorch": path, model: folder, data, out } = given;
  const stage = stageOf(values);
  if (stage === 2) required(values, "adapter-path");
  if (values.train !== "adapter") {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot take ${values.train} back from PyTorch: expected --train adapter`,
    );
  }
  const names = await namesIn(path);
  if (!names.includes(FILES.optimiser)) {
    const advice = "to start anew from its weights give them as --adapter-path";
    throw lacksFile(path, FILES.optimiser, advice);
  }
  const from = { path, names };
  const warnings: string[] = [];
  const warn = (line: string) => void warnings.push(line);

  await using stack = new AsyncDisposableStack();
  const storage = values["mixed-precision"] === "fp16" ? "f16" : "f32";
  const { components, hash } = stack.use(
    await openModel(folder, values["adapter-path"], storage),
  );
  const trained = trainedOf(values, components, { trained: { stage } });
  const parameters = parametersOf(trained.trainable);
  const weights = await openFolderWeights(path, names, stack);
  const file = `${path}/${FILES.optimiser}`;
  const { steps, moments, numbers } = await readOptimiser(file, parameters);
  const optimiser = await optimiserState(from, steps, values, warn);
  const step = await updatesDone(from, steps, values, warn);
  if (stage === 2) await checkFrozen(weights, components);
  const found = await readParameters(weights, parameters);

  const schedule = scheduleOf(values, ranks);
  const { learningRateFactor } = stageSettings(stage);
  const rate = schedule.learningRate * learningRateFactor;
  warnOfChanges(numbers, rate, values, warn);
  const hasMean = values["ema-decay"] !== undefined;
  if (hasMean) {
    warn("The running mean of the parameters starts at their values");
  }
  const settings = runSettingsOf(values, ranks, { path: folder, hash }, data);
  using run = await RunFolder.open(out, settings);
  await checkNew(run);
  const checkpoint = await run.save({
    step,
    arrays: arraysOf(parameters, found, moments, hasMean),
    state: checkpointState(
      values,
      step,
      optimiser,
      learningRateAt(schedule, step),
    ),
    weights: await trained.files(found),
  });
  return { run: out, step, checkpoint, warnings };
}

/** One that lacks all checkpoints is left of an attempt for which there was no room. */
async function checkNew(run: RunFolder): Promise<void> {
  const { checkpoint, broken } = await run.latest();
  if (!checkpoint && broken.length === 0) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot take a run back into ${run.path}: it holds a run already; give a new or empty folder`,
  );
}

async function namesIn(path: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(path));
    return entries.map(({ name }) => name);
  } catch (error) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot go on from ${path}: ${reason(error)}`,
      { cause: error },
    );
  }
}

/** The parameters in the order in which the reference gives them to AdamW. */
function parametersOf({ parameters }: Trainable): Parameter[] {
  const keyOf = checkpointKey(parameters.map(({ name }) => name));
  return inModuleOrder(parameters.map(({ name: trainedAs, shape }) => {
    const { dict, name } = keyOf(trainedAs)!;
    return { name: `${dict}.${name}`, shape, trainedAs };
  }));
}

/** The parameters' values, by their names in our checkpoint. */
async function readParameters(
  { name: file, tensors }: FolderWeights,
  parameters: readonly Parameter[],
): Promise<Map<string, Float32Array<ArrayBuffer>>> {
  const values = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name, shape, trainedAs } of parameters) {
    const tensor = tensors.get(name);
    if (!tensor) throw badCheckpoint(file, `it has no ${name}`);
    checkShape(file, name, tensor.shape, shape);
    const data = await readFloats(tensor);
    if (!data.every(Number.isFinite)) {
      throw badCheckpoint(file, `${name} is not finite`);
    }
    values.set(trainedAs, data);
  }
  return values;
}

function arraysOf(
  parameters: readonly Parameter[],
  values: TrainedValues,
  moments: readonly ParameterMoments[],
  hasMean: boolean,
): Record<string, TrainArray> {
  const arrays: Record<string, TrainArray> = {};
  for (const [i, { shape, trainedAs }] of parameters.entries()) {
    const data = values.get(trainedAs)! as Float32Array<ArrayBuffer>;
    arrays[`parameters/${trainedAs}`] = { shape, data };
    arrays[`firstMoments/${trainedAs}`] = moments[i].first;
    arrays[`secondMoments/${trainedAs}`] = moments[i].second;
    if (hasMean) arrays[`average/${trainedAs}`] = { shape, data };
  }
  return arrays;
}

/** Above what a tensor loses in f16, below what tells adapters apart. */
const SAME_ADAPTER = 1e-5;

/**
 * Checks that what stage 2 leaves as it was is that of `--adapter-path`, with
 * which the run goes on. A folder with the encoder alone has none of it.
 */
async function checkFrozen(
  { name: file, tensors }: FolderWeights,
  { adapter }: Components,
): Promise<void> {
  const names = [...adapter.file.tensors.keys()];
  const keyOf = checkpointKey(names);
  for (const [name, { shape }] of adapter.file.tensors) {
    const key = keyOf(name);
    if (key?.dict !== "adapter_modules") continue;
    const path = `${key.dict}.${key.name}`;
    const tensor = tensors.get(path);
    if (!tensor) continue;
    checkShape(file, path, tensor.shape, shape);
    const ours = await readWeights(adapter.weights.tensor(name, shape));
    if (distance(await readFloats(tensor), ours) <= SAME_ADAPTER) continue;
    throw badCheckpoint(
      file,
      `its ${path}, which stage 2 leaves as it was, is not that of --adapter-path; give the adapter that it started from`,
    );
  }
}

/** Σ(a−b)² / Σb² */
function distance(a: Float32Array, b: Float32Array): number {
  let apart = 0, all = 0;
  for (let i = 0; i < b.length; i++) {
    apart += (a[i] - b[i]) ** 2;
    all += b[i] ** 2;
  }
  return apart / (all || 1);
}
