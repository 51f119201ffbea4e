/**
 * Options of the command line as the trainer takes them.
 *
 * @module
 */
import { version } from "../../src/base/version.ts";
import type { OptimiserOptions } from "../../src/train/optimiser/optimiser.ts";
import type { Schedule } from "../../src/train/optimiser/schedules.ts";
import { learningRateOf, type TrainValues } from "./options.ts";
import {
  datasetMark,
  type OptionValue,
  type RunSettings,
} from "./run/settings.ts";

/** The optimiser's options, but for loss scaling. */
export function optimiserOptions(values: TrainValues): OptimiserOptions {
  return {
    betas: [values["adam-beta1"], values["adam-beta2"]],
    eps: values["adam-epsilon"],
    weightDecay: values["adam-weight-decay"],
    maxGradientNorm: values["max-grad-norm"] || Infinity,
  };
}

/** The learning rate of each update, before the stage's factor. */
export function scheduleOf(values: TrainValues, ranks: number): Schedule {
  return {
    name: values["lr-scheduler"],
    learningRate: learningRateOf(values, ranks),
    warmupSteps: values["lr-warmup-steps"],
    maxSteps: values["max-train-steps"],
  };
}

/** Options that say where to read, write and report, or belong to a hand-over. */
const NOT_KEPT: ReadonlySet<string> = new Set(
  [
    "json",
    "quiet",
    "out",
    "data",
    "model",
    "from-pytorch",
    "to-pytorch",
    "num-processes",
    "step",
  ] satisfies (keyof TrainValues)[],
);

/** Options as a run's folder keeps them. */
export function optionsOf(values: TrainValues): Record<string, OptionValue> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => !NOT_KEPT.has(name))
      .map(([name, value]) => [name, value ?? null]),
  );
}

/**
 * What a run is started with.
 *
 * @param ids of the data set, where it is there
 */
export function runSettingsOf(
  values: TrainValues,
  ranks: number,
  model: RunSettings["model"],
  data: string,
  ids?: readonly string[],
): RunSettings {
  return {
    options: { ...optionsOf(values), "num-processes": ranks },
    model,
    data,
    ...ids ? { dataset: datasetMark(ids) } : {},
    versions: { masterweaver: version, deno: Deno.version.deno },
  };
}
