/**
 * How far a training that PyTorch did has come, by the files it left.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { badCheckpoint } from "../../../src/checkpoints/checkpoint.ts";
import {
  DEFAULT_LOSS_SCALING,
  type OptimiserState,
} from "../../../src/train/optimiser/optimiser.ts";
import type { TrainValues } from "../options.ts";
import { optimiserOptions } from "../settings.ts";
import { readScaler, readScheduler } from "./folder_state.ts";
import { stepOfAdapter } from "./folder_weights.ts";
import { FILES } from "./state_dicts.ts";

/** A folder of accelerate's. */
export interface PyTorchFolder {
  /** Where it is. */
  readonly path: string;
  /** Names of its files. */
  readonly names: readonly string[];
}

/**
 * Updates that were done. The scheduler counts them once for each process, and
 * those that fp16 skipped may or may not be among them; without it, the name of
 * the adapter or AdamW's own count must do.
 *
 * @param steps that AdamW has taken
 * @param warn is told what is missing
 * @throws {MasterWeaverError} `bad-checkpoint`, `bad-option`
 */
export async function updatesDone(
  { path, names }: PyTorchFolder,
  steps: number,
  values: TrainValues,
  warn: (line: string) => void,
): Promise<number> {
  if (values.step !== undefined) return values.step;
  if (!names.includes(FILES.scheduler)) {
    const step = stepOfAdapter(names) ?? steps;
    warn(
      `${path} has no ${FILES.scheduler}: the run goes on from step ${step}, as ${
        step === steps ? FILES.optimiser : "the adapter's name"
      } says`,
    );
    return step;
  }
  const file = `${path}/${FILES.scheduler}`;
  const { counted } = await readScheduler(file);
  const processes = values["num-processes"] ??
    Math.max(1, Math.round(counted / Math.max(1, steps)));
  const step = counted / processes;
  if (Number.isInteger(step) && step >= steps) return step;
  throw badCheckpoint(
    file,
    `it counts ${counted} updates and ${FILES.optimiser} ${steps}, which ${processes} processes cannot have done; give --num-processes as it was, or --step`,
  );
}

/**
 * The optimiser's state beside the moments.
 *
 * @param steps that AdamW has taken
 * @param warn is told what is missing
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function optimiserState(
  { path, names }: PyTorchFolder,
  steps: number,
  values: TrainValues,
  warn: (line: string) => void,
): Promise<OptimiserState> {
  if (values["mixed-precision"] !== "fp16") {
    return { steps, lossScale: 1, cleanSteps: 0 };
  }
  if (names.includes(FILES.scaler)) {
    return { steps, ...await readScaler(`${path}/${FILES.scaler}`) };
  }
  const { initialScale } = DEFAULT_LOSS_SCALING;
  warn(
    `${path} has no ${FILES.scaler}: the loss scale starts at ${initialScale}`,
  );
  return { steps, lossScale: initialScale, cleanSteps: 0 };
}

/** Largest relative difference of a number that PyTorch keeps as it was given. */
const TOLERANCE = 1e-6;

/**
 * Warns of what the run will do otherwise than PyTorch did.
 *
 * @param numbers of the group of parameters, by PyTorch's names
 * @param learningRate where the run's schedule begins
 */
export function warnOfChanges(
  numbers: ReadonlyMap<string, number>,
  learningRate: number,
  values: TrainValues,
  warn: (line: string) => void,
): void {
  const { betas = [], eps, weightDecay } = optimiserOptions(values);
  const rows: readonly [string, string, number | undefined][] = [
    ["initial_lr", "learning rate", learningRate],
    ["betas.0", "--adam-beta1", betas[0]],
    ["betas.1", "--adam-beta2", betas[1]],
    ["eps", "--adam-epsilon", eps],
    ["weight_decay", "--adam-weight-decay", weightDecay],
  ];
  for (const [name, option, now = NaN] of rows) {
    const before = numbers.get(name);
    if (before === undefined) continue;
    if (Math.abs(before - now) <= TOLERANCE * Math.abs(before)) continue;
    warn(`The run goes on with another ${option}: ${before} → ${now}`);
  }
}

/** The error of a folder that lacks a file. */
export function lacksFile(
  path: string,
  name: string,
  advice: string,
): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `Cannot go on from ${path}: it has no ${name}; ${advice}`,
  );
}
