/**
 * Options of the command line as the trainer takes them.
 *
 * @module
 */
import type { OptimiserOptions } from "../../src/train/optimiser/optimiser.ts";
import type { TrainValues } from "./options.ts";

/** The optimiser's options, but for loss scaling. */
export function optimiserOptions(values: TrainValues): OptimiserOptions {
  return {
    betas: [values["adam-beta1"], values["adam-beta2"]],
    eps: values["adam-epsilon"],
    weightDecay: values["adam-weight-decay"],
    maxGradientNorm: values["max-grad-norm"] || Infinity,
  };
}
