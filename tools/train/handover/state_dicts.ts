/**
 * The state dicts of PyTorch's AdamW, LambdaLR and GradScaler, as accelerate
 * saves them: `optimizer.bin`, `scheduler.bin`, `scaler.pt`.
 *
 * @module
 */
import {
  type PythonDict,
  pythonDict,
  PythonFloat,
  PythonTensor,
  PythonTuple,
} from "../../../src/checkpoints/python_values.ts";
import {
  DEFAULT_LOSS_SCALING,
  type OptimiserOptions,
  type OptimiserState,
} from "../../../src/train/optimiser/optimiser.ts";
import type { TrainArray } from "../run/checkpoint.ts";

/** Names of the files in a folder of accelerate's. */
export const FILES = {
  optimiser: "optimizer.bin",
  scheduler: "scheduler.bin",
  scaler: "scaler.pt",
} as const;

/** AdamW's moments of a parameter. */
export interface ParameterMoments {
  /** Of the gradient. */
  readonly first: TrainArray;
  /** Of its square. */
  readonly second: TrainArray;
}

/** Learning rates at a step. */
export interface Rates {
  /** Where the schedule begins, warm-up aside. */
  readonly initial: number;
  /** Of the next update. */
  readonly current: number;
}

/**
 * The state of AdamW with one group of parameters.
 *
 * @param moments of each parameter, in the order of `parameters()`
 * @param steps taken; without any, PyTorch keeps no moments
 */
export function optimiserDict(
  moments: readonly ParameterMoments[],
  steps: number,
  rates: Rates,
  { betas = [0.9, 0.999], eps = 1e-8, weightDecay = 1e-2 }: OptimiserOptions,
): PythonDict {
  const states = moments.map(({ first, second }, i) =>
    [
      i,
      pythonDict({
        step: PythonTensor.of([], Float32Array.of(steps)),
        exp_avg: PythonTensor.of(first.shape, first.data),
        exp_avg_sq: PythonTensor.of(second.shape, second.data),
      }),
    ] as const
  );
  const group = pythonDict({
    lr: new PythonFloat(rates.current),
    betas: new PythonTuple(betas.map((beta) => new PythonFloat(beta))),
    eps: new PythonFloat(eps),
    weight_decay: new PythonFloat(weightDecay),
    amsgrad: false,
    maximize: false,
    foreach: null,
    capturable: false,
    differentiable: false,
    fused: null,
    decoupled_weight_decay: true,
    initial_lr: new PythonFloat(rates.initial),
    params: moments.map((_, i) => i),
  });
  return pythonDict({
    state: new Map(steps > 0 ? states : []),
    param_groups: [group],
  });
}

/**
 * The state of the LambdaLR that diffusers' `get_scheduler` makes. Its function
 * is none of it: the script makes that anew.
 *
 * @param counted updates that were done, once for each process
 */
export function schedulerDict(counted: number, rates: Rates): PythonDict {
  return pythonDict({
    base_lrs: [new PythonFloat(rates.initial)],
    last_epoch: counted,
    _step_count: counted + 1,
    _is_initial: false,
    _get_lr_called_within_step: false,
    _last_lr: [new PythonFloat(rates.current)],
    lr_lambdas: [null],
  });
}

/** The state of the GradScaler, with which accelerate trains in fp16. */
export function scalerDict(
  { lossScale, cleanSteps }: OptimiserState,
): PythonDict {
  const { growthFactor, backoffFactor, growthInterval } = DEFAULT_LOSS_SCALING;
  return pythonDict({
    scale: new PythonFloat(lossScale),
    growth_factor: new PythonFloat(growthFactor),
    backoff_factor: new PythonFloat(backoffFactor),
    growth_interval: growthInterval,
    _growth_tracker: cleanSteps,
  });
}
