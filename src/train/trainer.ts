/**
 * Trains parameters of a model: batches in, losses and changed parameters out.
 *
 * A step runs the frozen towers on the batch, then forward and backward of the UNet,
 * and adds to the gradients; an update of the parameters follows one or several
 * steps. Nothing is read back but the log, some steps late.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Components } from "../components/networks.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import { Pace } from "../gpu/pace.ts";
import type { GpuTensors } from "../graph/tensors.ts";
import type { Tuner } from "../graph/tuner.ts";
import type { UNetConfig } from "../models/unet_config.ts";
import type { StepBatch } from "./batch.ts";
import { firstNonFinite } from "./diagnosis.ts";
import { LossLog, type LossRow, type UpdateRow } from "./loss_log.ts";
import {
  Optimiser,
  type OptimiserOptions,
  type StepSettings,
} from "./optimiser/optimiser.ts";
import { ParameterBlocks } from "./optimiser/parameter_blocks.ts";
import {
  Probe,
  type ProbedFace,
  probedReferences,
  type ProbeLosses,
} from "./probe.ts";
import { type StepKind, StepPlans } from "./step/plans.ts";
import { stepGraph, type StepShape } from "./step/graph.ts";
import {
  type BlockPicker,
  blockPickers,
  chooseRecompute,
  type Recompute,
} from "./step/recompute_choice.ts";
import { emptyReference } from "./step/empty_reference.ts";
import type { Trainable } from "./step/trainable.ts";
import { StepWriter } from "./step/writer.ts";
import { FrozenTowers } from "./towers.ts";
import { runCosts } from "./training_memory.ts";

/** What a trainer is made from. */
export interface TrainerOptions {
  /** The device. */
  readonly gpu: Gpu;
  /** Storage type of activations and frozen weights. */
  readonly storage: StorageType;
  /** Chooses kernels. */
  readonly tuner: Tuner;
  /** The model, with the adapter that training starts from. */
  readonly components: Components;
  /** What is trained. */
  readonly trainable: Trainable;
  /** Samples of a step B. */
  readonly batch: number;
  /** Rows and columns of the latents, h and w. */
  readonly latentSize: readonly [number, number];
  /** Steps of an update, of all processes together; 1 by default. */
  readonly accumulation?: number;
  /** Weight of the error in the predicted noise. */
  readonly lambdaNoise: number;
  /** Whether steps have the background loss; `true` by default. */
  readonly background?: boolean;
  /** Weight of the editing-direction loss in steps that have it; none by default. */
  readonly lambdaEdit?: number;
  /** What is computed again in the backward pass, to save memory; `"none"` by default. */
  readonly recompute?: Recompute;
  /** The optimiser's. */
  readonly optimiser?: OptimiserOptions;
  /** Whether a running mean of the parameters is kept; `false` by default. */
  readonly average?: boolean;
  /**
   * Replaces values by their means over the ranks that train together, in place, so
   * that a loss which is divided by a sum over the batch is that of the joined batch.
   */
  readonly meanOverRanks?: (values: Float32Array) => Promise<void>;
  /** Steps whose losses are held until they are read; 64 by default. */
  readonly logged?: number;
}

/** What is computed again in the backward pass. */
export interface UsedRecompute {
  /** `none`, `block`, `level`, or how many of how many blocks. */
  readonly name: string;
  /** Bytes that the run takes with it; only planned where there is a limit. */
  readonly bytes?: number;
}

/** A step whose inputs are on the GPU. */
export interface PreparedStep {
  /** With or without the editing-direction loss. */
  readonly kind: StepKind;
}

/** A model in training. */
export class Trainer implements Disposable {
  /** The trained parameters. */
  readonly blocks: ParameterBlocks;
  /** Updates them. */
  readonly optimiser: Optimiser;
  /** The frozen networks. */
  readonly towers: FrozenTowers;
  /** The step's plans. */
  readonly plans: StepPlans;
  /** What is computed again, as it was asked for or chosen. */
  readonly recompute: UsedRecompute;
  readonly #options: TrainerOptions;
  readonly #inputs: StepWriter;
  readonly #log: LossLog;
  readonly #owned: DisposableStack;

  private constructor(
    options: TrainerOptions,
    parts: {
      readonly blocks: ParameterBlocks;
      readonly optimiser: Optimiser;
      readonly towers: FrozenTowers;
      readonly plans: StepPlans;
      readonly recompute: UsedRecompute;
      readonly log: LossLog;
      readonly empty: GpuTensors;
    },
    owned: DisposableStack,
  ) {
    this.#options = options;
    this.blocks = parts.blocks;
    this.optimiser = parts.optimiser;
    this.towers = parts.towers;
    this.plans = parts.plans;
    this.recompute = parts.recompute;
    this.#log = parts.log;
    this.#owned = owned;
    this.#inputs = new StepWriter({ ...options, ...parts });
  }

  /**
   * Loads what training needs and makes every plan.
   *
   * @throws {MasterWeaverError} `bad-model`, `bad-option`, `cannot-read`, `gpu`, `out-of-memory`
   */
  static async make(options: TrainerOptions): Promise<Trainer> {
    const { gpu, storage, tuner, components, trainable } = options;
    const { batch, latentSize, logged = 64 } = options;
    checkUnet(components.unet.config);
    using stack = new DisposableStack();
    const blocks = stack.use(
      await ParameterBlocks.make(gpu, trainable.parameters, {
        average: options.average,
      }),
    );
    for (const { name } of trainable.parameters) {
      blocks.start(name, await trainable.start(name));
    }
    const optimiser = stack.use(
      await Optimiser.make(gpu, blocks, options.optimiser),
    );
    const { pick, ...recompute } = await recomputeOf(options);
    const plans = stack.use(
      await StepPlans.make({
        gpu,
        storage,
        tuner,
        components,
        trainable,
        blocks,
        lossScale: optimiser.lossScale,
        shapes: shapesOf(options, pick),
      }),
    );
    const { factor } = components.vae.config;
    const imageSize = latentSize.map((n) => factor * n) as [number, number];
    const towers = stack.use(
      new FrozenTowers(components, { gpu, storage, tuner, batch, imageSize }),
    );
    const log = stack.use(await LossLog.make(gpu, logged));
    const empty = stack.use(await emptyReference(options, plans));
    const accumulation = options.accumulation ?? 1;
    plans.write("accumulation_share", Float32Array.of(1 / accumulation));
    const owned = stack.move();
    const parts = {
      blocks,
      optimiser,
      towers,
      plans,
      recompute,
      log,
      empty,
    };
    return new Trainer(options, parts, owned);
  }

  /**
   * Writes a step's inputs and runs the frozen towers on them: all of a step that
   * does not depend on the parameters.
   *
   * @throws {MasterWeaverError} `bad-option` if the batch does not fit; `device-lost`, `gpu`, and what the pace throws
   */
  async prepare(
    batch: StepBatch,
    pace: Pace = new Pace(this.#options.gpu),
  ): Promise<PreparedStep> {
    await this.#inputs.write(batch, pace);
    return { kind: kindOf(batch) };
  }

  /**
   * Runs the step that was prepared last: its gradients are added to those of the
   * update.
   *
   * @param number of the step, from 0: where its losses are logged
   * @throws {MasterWeaverError} `device-lost`, `gpu`, and what the pace throws
   */
  async run(
    number: number,
    { kind }: PreparedStep,
    pace: Pace = new Pace(this.#options.gpu),
  ): Promise<void> {
    await this.plans.run(kind, this.#log.losses(number), pace);
  }

  /** Prepares and runs a step. */
  async step(number: number, batch: StepBatch, pace?: Pace): Promise<void> {
    await this.run(number, await this.prepare(batch, pace), pace);
  }

  /**
   * Updates the parameters by the gradients of the last steps, and clears those.
   *
   * @param number of the last of these steps
   */
  async update(
    number: number,
    settings: StepSettings,
    pace: Pace = new Pace(this.#options.gpu),
  ): Promise<void> {
    await this.optimiser.step(settings, pace);
    this.#log.record(number, this.optimiser.report);
  }

  /**
   * Runs a step again, with checks: for the message of training that met what is not
   * finite, and ends. The step's losses are logged anew.
   *
   * @param number of the step
   * @returns the first tensor that is not finite, in words; undefined where all are finite
   */
  async diagnose(
    number: number,
    batch: StepBatch,
  ): Promise<string | undefined> {
    const { gpu, storage, components, trainable } = this.#options;
    const { plans, blocks, optimiser } = this;
    await this.step(number, batch);
    const kind = kindOf(batch);
    const { pick } = await recomputeOf(this.#options);
    const shape = shapesOf(this.#options, pick)[kind]!;
    return await firstNonFinite({
      gpu,
      step: stepGraph(storage, components, trainable, shape),
      blocks,
      weights: plans.weights,
      input: (name) =>
        plans.hasInput(name) ? plans.input(name) : optimiser.lossScale,
      shares: plans.plan(kind),
    });
  }

  /**
   * The error in the predicted noise by whose face is shown, a mean over the
   * timesteps. Parameters and gradients stay as they are; what was prepared is lost.
   *
   * @throws {MasterWeaverError} `bad-option` if the batch does not fit; `device-lost`, `gpu`, `out-of-memory`, and what the pace throws
   */
  async probe(
    { edit: _, sampleWeights: __, ...batch }: StepBatch,
    timesteps: readonly number[],
    pace?: Pace,
  ): Promise<ProbeLosses> {
    const { plans, blocks } = this;
    const size = this.#options.batch;
    const { plain } = shapesOf(this.#options, blockPickers.none);
    const given = { ...this.#options, shape: plain!, blocks, plans };
    using probe = await Probe.make(given);
    const shown = probedReferences(batch.references, size);
    const losses: Partial<Record<ProbedFace, number>> = {};
    for (const [face, references] of Object.entries(shown)) {
      await this.prepare({ ...batch, references }, pace);
      let sum = 0;
      for (const timestep of timesteps) {
        this.#inputs.writeLevels("", new Array(size).fill(timestep));
        sum += await probe.loss(pace);
      }
      losses[face as ProbedFace] = sum / timesteps.length;
    }
    return losses;
  }

  /** Waits for the GPU and reads what the steps from `first` on recorded. */
  readLog(first: number, count: number): Promise<(LossRow & UpdateRow)[]> {
    return this.#log.read(first, count);
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}

function kindOf({ edit }: StepBatch): StepKind {
  return edit ? "edit" : "plain";
}

function shapesOf(
  options: TrainerOptions,
  recompute: BlockPicker,
): Readonly<Partial<Record<StepKind, StepShape>>> {
  const { batch, latentSize: size, lambdaEdit } = options;
  const { lambdaNoise, background } = options;
  const plain = { batch, size, lambdaNoise, background, recompute };
  return lambdaEdit === undefined
    ? { plain }
    : { plain, edit: { ...plain, lambdaEdit } };
}

/** Chooses the blocks that are computed again. */
async function recomputeOf(
  options: TrainerOptions,
): Promise<UsedRecompute & { readonly pick: BlockPicker }> {
  const { recompute = "none", tuner, gpu } = options;
  if (typeof recompute !== "number") {
    return { name: recompute, pick: blockPickers[recompute] };
  }
  const planner = runCosts({
    ...options,
    choose: tuner.choose,
    limits: gpu.limits,
    shapes: Object.values(shapesOf(options, blockPickers.none)),
  });
  await tuner.prepare(planner.recipe.graph);
  const { name, pick, cost } = chooseRecompute(recompute, planner);
  return { name, pick, bytes: cost.bytes };
}

/** Refuses a UNet that reads more than the latents. */
function checkUnet({ inputChannels, channels }: UNetConfig): void {
  if (inputChannels === channels) return;
  throw new MasterWeaverError(
    "bad-model",
    `Cannot train with an inpainting UNet of ${inputChannels} input channels, expected ${channels}; give the model it was made from`,
  );
}
