/**
 * AdamW with clipping, loss scaling and a running mean, all on the GPU.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Pace } from "../../gpu/pace.ts";
import { readBuffers } from "../../gpu/readback.ts";
import { type GpuTensor, Plan } from "../../graph/plan.ts";
import { GpuTensors } from "../../graph/tensors.ts";
import { record, REPORT, STATE } from "../../ops/optimiser/records.ts";
import { optimiseGraph } from "./optimise_graph.ts";
import type { ParameterBlocks } from "./parameter_blocks.ts";

/** Dynamic loss scaling, with the names of PyTorch's GradScaler. */
export interface LossScaling {
  /** Scale of the first step. */
  readonly initialScale: number;
  /** Factor of the scale after `growthInterval` steps without a skipped one. */
  readonly growthFactor: number;
  /** Factor of the scale after a skipped step. */
  readonly backoffFactor: number;
  /** Steps without a skipped one until the scale grows. */
  readonly growthInterval: number;
}

/** GradScaler's defaults. */
export const DEFAULT_LOSS_SCALING: LossScaling = {
  initialScale: 65536,
  growthFactor: 2,
  backoffFactor: 0.5,
  growthInterval: 2000,
};

/** A scale of 1 that never changes. */
const NO_LOSS_SCALING: LossScaling = {
  initialScale: 1,
  growthFactor: 1,
  backoffFactor: 1,
  growthInterval: 1,
};

/** How an {@linkcode Optimiser} steps; by default as the reference does. */
export interface OptimiserOptions {
  /** Decay of the first and second moments; 0.9 and 0.999 by default. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moments; 1e-8 by default. */
  readonly eps?: number;
  /** Decoupled weight decay; 0.01 by default. */
  readonly weightDecay?: number;
  /** Largest norm of all gradients together; 1 by default, `Infinity` for none. */
  readonly maxGradientNorm?: number;
  /** Loss scaling, for f16 activations; none by default. */
  readonly lossScaling?: LossScaling;
}

/** What may change from step to step. */
export interface StepSettings {
  /** The learning rate of parameters whose factor is 1. */
  readonly learningRate: number;
  /** How much of the running mean stays; 0.9999 by default. */
  readonly averageDecay?: number;
}

/** What a checkpoint holds beside the blocks. */
export interface OptimiserState {
  /** Steps taken, without those skipped. */
  readonly steps: number;
  /** The loss scale. */
  readonly lossScale: number;
  /** Steps since the scale last grew or a step was skipped. */
  readonly cleanSteps: number;
}

/** What happened in a step. */
export interface StepReport {
  /** Norm of all gradients, without loss scale, before clipping. */
  readonly gradientNorm: number;
  /** What clipping multiplied them by; 0 if skipped. */
  readonly coefficient: number;
  /** Whether a gradient was not finite, so that nothing was changed. */
  readonly skipped: boolean;
  /** The loss scale they were computed with. */
  readonly lossScale: number;
}

/**
 * Updates the parameters of blocks from their gradients, which it sets to zero.
 *
 * A step reads nothing back. One whose gradients are not all finite is skipped, on
 * the GPU, with or without loss scaling.
 */
export class Optimiser implements Disposable {
  readonly #gpu: Gpu;
  readonly #blocks: ParameterBlocks;
  readonly #weightDecay: number;
  readonly #records: GpuTensors;
  readonly #plan: Plan;

  private constructor(
    gpu: Gpu,
    blocks: ParameterBlocks,
    weightDecay: number,
    records: GpuTensors,
    plan: Plan,
  ) {
    this.#gpu = gpu;
    this.#blocks = blocks;
    this.#weightDecay = weightDecay;
    this.#records = records;
    this.#plan = plan;
  }

  /**
   * Prepares the steps; the blocks must live longer.
   *
   * @throws {MasterWeaverError} `bad-option`, `gpu`, `out-of-memory`
   */
  static async make(
    gpu: Gpu,
    blocks: ParameterBlocks,
    options: OptimiserOptions = {},
  ): Promise<Optimiser> {
    const {
      betas: [beta1, beta2] = [0.9, 0.999],
      eps = 1e-8,
      weightDecay = 1e-2,
      maxGradientNorm = 1,
      lossScaling = NO_LOSS_SCALING,
    } = options;
    check("β₁", "0 ≤ β₁ < 1", beta1, beta1 >= 0 && beta1 < 1);
    check("β₂", "0 ≤ β₂ < 1", beta2, beta2 >= 0 && beta2 < 1);
    // In f32: less would divide the zeros between parameters by zero.
    check("eps", "at least 1e-30", eps, eps >= 1e-30 && eps < Infinity);
    check("weight decay", "0 or more", weightDecay, weightDecay >= 0);
    check("gradient norm", "above 0", maxGradientNorm, maxGradientNorm > 0);
    const { graph, bindings } = optimiseGraph(blocks, { beta1, beta2, eps }, {
      growth: lossScaling.growthFactor,
      backoff: lossScaling.backoffFactor,
      interval: lossScaling.growthInterval,
    });
    const records = await GpuTensors.make(gpu, {
      state: record,
      report: record,
    });
    try {
      const plan = await Plan.make(gpu, graph, {
        bindings: { ...bindings, ...records.bindings },
      });
      const limit = maxGradientNorm < Infinity ? maxGradientNorm : -1;
      plan.write("maxNorm", Float32Array.of(limit));
      const made = new Optimiser(gpu, blocks, weightDecay, records, plan);
      const lossScale = lossScaling.initialScale;
      made.writeState({ steps: 0, lossScale, cleanSteps: 0 });
      return made;
    } catch (error) {
      records[Symbol.dispose]();
      throw error;
    }
  }

  /** f32 (1): the loss scale, to be bound to the graph that computes gradients. */
  get lossScale(): GpuTensor {
    const { slice } = this.#records.bindings.state;
    return {
      spec: { shape: [1], dtype: "f32" },
      slice: { ...slice, size: 4 },
    };
  }

  /** f32 (4): the last step's norm, coefficient, skipped and loss scale, to be bound or copied. */
  get report(): GpuTensor {
    return this.#records.bindings.report;
  }

  /** Dispatches of a step. */
  get dispatches(): number {
    return this.#plan.statistics.dispatches;
  }

  /**
   * Queues a step.
   *
   * @param settings rates of this step
   * @param pace the pace of the call it belongs to; without, it is queued in one go
   * @throws {MasterWeaverError} `bad-option`, and those of {@linkcode Plan.runPaced}
   */
  async step(settings: StepSettings, pace?: Pace): Promise<void> {
    const { learningRate, averageDecay = 0.9999 } = settings;
    check(
      "learning rate",
      "0 or more",
      learningRate,
      learningRate >= 0 && learningRate < Infinity,
    );
    this.#blocks.layout.forEach((block, i) => {
      const rate = learningRate * block.learningRateFactor;
      const decay = block.weightDecay ? this.#weightDecay : 0;
      // The difference is of f64 numbers, as PyTorch's.
      const rates = Float32Array.of(rate, 1 - rate * decay);
      this.#plan.write(`rates ${i}`, rates);
    });
    if (this.#blocks.kinds.includes("average")) {
      check(
        "decay of the running mean",
        "0 to 1",
        averageDecay,
        averageDecay >= 0 && averageDecay <= 1,
      );
      this.#plan.write("share", Float32Array.of(1 - averageDecay));
    }
    if (pace) await this.#plan.runPaced(pace);
    else this.#plan.run();
  }

  /**
   * Waits for the GPU and reads what happened in the last step.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`, `out-of-memory`
   */
  async readReport(): Promise<StepReport> {
    const values = await this.#read("report");
    return {
      gradientNorm: values[REPORT.gradientNorm],
      coefficient: values[REPORT.coefficient],
      skipped: values[REPORT.skipped] !== 0,
      lossScale: values[REPORT.lossScale],
    };
  }

  /**
   * Waits for the GPU and reads the state, for a checkpoint.
   *
   * @throws {MasterWeaverError} `device-lost`, `gpu`, `out-of-memory`
   */
  async readState(): Promise<OptimiserState> {
    const values = await this.#read("state");
    return {
      steps: values[STATE.steps],
      lossScale: values[STATE.lossScale],
      cleanSteps: values[STATE.cleanSteps],
    };
  }

  /** Sets the state to that of a checkpoint. */
  writeState({ steps, lossScale, cleanSteps }: OptimiserState): void {
    const values = new Float32Array(4);
    values[STATE.steps] = steps;
    values[STATE.lossScale] = lossScale;
    values[STATE.cleanSteps] = cleanSteps;
    this.#records.write("state", values);
  }

  async #read(name: "state" | "report"): Promise<Float32Array> {
    const { slice } = this.#records.bindings[name];
    const [bytes] = await readBuffers(this.#gpu, [slice]);
    return new Float32Array(bytes);
  }

  /** Frees the plan and the state; not the blocks. */
  [Symbol.dispose](): void {
    this.#plan[Symbol.dispose]();
    this.#records[Symbol.dispose]();
  }
}

/** Requires that a number is in its range. */
function check(
  what: string,
  expected: string,
  given: number,
  holds: boolean,
): void {
  if (holds) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot optimise: expected a ${what} of ${expected}, got ${given}`,
  );
}
