/**
 * The order of things in training: samples and draws to steps, steps to updates.
 *
 * @module
 */
import type { Pace } from "../gpu/pace.ts";
import {
  assembleBatch,
  type AssemblyOptions,
  type DrawnSample,
} from "./assemble.ts";
import { checkKept, type StepBatch } from "./batch.ts";
import { drawEditPrompts } from "./data/edit_prompts.ts";
import { sampleNumbers, shardPlaces } from "./data/order.ts";
import type {
  Input,
  InputKind,
  TrainingSample,
} from "./data/training_sample.ts";
import type { Communicator } from "./distributed/communicator.ts";
import { sumGradients } from "./distributed/sum_gradients.ts";
import { drawEdit, type DrawOptions, drawSample } from "./draws.ts";
import type { Schedule } from "./optimiser/schedules.ts";
import { averageDecayAt, learningRateAt } from "./optimiser/schedules.ts";
import { PROBE_TIMESTEPS, type ProbeLosses } from "./probe.ts";
import { hasEdit, type Stage } from "./stages.ts";
import type { Moments } from "./towers.ts";
import type { PreparedStep, Trainer } from "./trainer.ts";

/** Where samples come from. */
export interface SampleSource {
  /** The samples of a step, of this rank. */
  batch(step: number): Promise<readonly TrainingSample[]>;
}

/** Where what frozen networks computed is kept. */
export interface FeatureKeeper {
  /** Keeps values under a key. */
  put(kind: InputKind, key: string, values: Float32Array): Promise<unknown>;
}

/** What a loop is made from. */
export interface LoopOptions {
  /** Trains. */
  readonly trainer: Trainer;
  /** Gives samples. */
  readonly source: SampleSource;
  /** Keeps moments and features; they are computed anew each time by default. */
  readonly keeper?: FeatureKeeper;
  /** The stage. */
  readonly stage: Stage;
  /** Samples of a step, of this rank. */
  readonly batch: number;
  /** Steps of an update. */
  readonly accumulation: number;
  /** What decides the draws. */
  readonly draws: DrawOptions;
  /** Edits of the editing-direction loss; the reference's by default. */
  readonly edits?: readonly string[];
  /** The learning rate of each update. */
  readonly schedule: Schedule;
  /** How much of the running mean stays at most, where one is kept. */
  readonly averageDecay?: number;
  /** Tokenizer, scaling factor, size of the latents. */
  readonly assembly: AssemblyOptions;
  /** The ranks that train together; their gradients are added up before an update. */
  readonly communicator: Communicator;
}

/** Trains update by update. */
export class TrainingLoop {
  readonly #options: LoopOptions;
  /** A step that was prepared while ranks exchanged gradients. */
  #ahead: { readonly step: number; readonly prepared: PreparedStep } | null =
    null;

  /** A loop at no particular update: each is computed from its number. */
  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /**
   * Queues an update. A pace that stops it leaves the parameters as they were.
   *
   * @param number updates done before
   * @throws {MasterWeaverError} what the source and the pace throw; `device-lost`, `gpu`, `out-of-memory`
   */
  async update(number: number, pace: Pace): Promise<void> {
    const { trainer, accumulation, communicator } = this.#options;
    const first = number * accumulation;
    const end = first + accumulation;
    for (let step = first; step < end; step++) {
      const prepared = this.#ahead?.step === step
        ? this.#ahead.prepared
        : await this.#prepare(step, pace);
      this.#ahead = null;
      await trainer.run(step, prepared, pace);
    }
    if (communicator.size > 1) {
      const sum = sumGradients(trainer.blocks, communicator);
      // The towers need no gradients: the next step's inputs are made meanwhile.
      const prepared = await this.#prepare(end, pace);
      this.#ahead = { step: end, prepared };
      await sum;
    }
    // Without the call's pace: stopped halfway, some parameters would be updated.
    const { averageDecay } = this.#options;
    await trainer.update(end - 1, {
      learningRate: this.learningRate(number),
      averageDecay: averageDecay && averageDecayAt(averageDecay, number),
    });
  }

  /** The learning rate of an update. */
  learningRate(number: number): number {
    return learningRateAt(this.#options.schedule, number);
  }

  /**
   * What a step is given; the same each time it is asked for.
   *
   * @param step steps before, counted over all updates
   * @throws {MasterWeaverError} as {@linkcode update}
   */
  async batch(step: number, pace: Pace): Promise<StepBatch> {
    const { source, assembly } = this.#options;
    const samples = this.#drawn(step, await source.batch(step));
    const drawn: DrawnSample[] = [];
    for (const sample of samples) {
      drawn.push({ ...sample, ...await this.#encoded(sample.sample, pace) });
    }
    return assembleBatch(drawn, assembly);
  }

  /**
   * The error in the predicted noise by whose face the samples of the first step
   * are shown, with that step's draws but at other timesteps: the same samples each
   * time. Nothing of the training changes.
   *
   * @throws {MasterWeaverError} as {@linkcode update}
   */
  async probe(pace: Pace): Promise<ProbeLosses> {
    const batch = await this.batch(0, pace);
    // It takes the place of what was prepared.
    this.#ahead = null;
    return await this.#options.trainer.probe(batch, PROBE_TIMESTEPS, pace);
  }

  /** Reads, draws and encodes a step's batch. */
  async #prepare(step: number, pace: Pace): Promise<PreparedStep> {
    const batch = await this.batch(step, pace);
    return await this.#options.trainer.prepare(batch, pace);
  }

  /** Samples with their draws. */
  #drawn(step: number, samples: readonly TrainingSample[]) {
    const { stage, batch, draws, edits, communicator } = this.#options;
    const shard = { rank: communicator.rank, ranks: communicator.size };
    const numbers = sampleNumbers(step, batch, shard);
    const places = shardPlaces(batch, shard);
    const prompts = hasEdit(stage, step)
      ? drawEditPrompts(draws.seed, step, batch * shard.ranks, edits)
      : undefined;
    return samples.map((sample, i) => ({
      sample,
      draws: drawSample(draws, numbers[i]),
      edit: prompts && {
        ...drawEdit(draws, numbers[i]),
        ...prompts[places[i]],
      },
    }));
  }

  /** What the frozen networks make of a sample, as far as it is kept. */
  async #encoded(sample: TrainingSample, pace: Pace): Promise<{
    readonly sample: TrainingSample;
    readonly moments: Moments;
  }> {
    const references: (Input | null)[] = [];
    for (const reference of sample.references) {
      references.push(reference && await this.#keptReference(reference, pace));
    }
    return {
      sample: { ...sample, references },
      moments: await this.#moments(sample.image, pace),
    };
  }

  async #moments({ key, cached, pixels }: Input, pace: Pace): Promise<Moments> {
    if (cached) {
      const [height, width, channels] = this.#options.draws.latents;
      checkKept(cached, 2 * height * width * channels, "latents of an image");
      const half = cached.length / 2;
      return {
        mean: cached.subarray(0, half),
        logvar: cached.subarray(half),
      };
    }
    const { trainer, keeper } = this.#options;
    const moments = await trainer.towers.encodeImage(pixels!, pace);
    if (key !== null && keeper) {
      const { mean, logvar } = moments;
      const kept = new Float32Array(2 * mean.length);
      kept.set(mean);
      kept.set(logvar, mean.length);
      await keeper.put("image", key, kept);
    }
    return moments;
  }

  /** A reference with its features, if they can be kept; else with its pixels. */
  async #keptReference(reference: Input, pace: Pace): Promise<Input> {
    const { trainer, keeper } = this.#options;
    const { key, cached, pixels } = reference;
    if (cached || key === null || !keeper) return reference;
    const features = await trainer.towers.readReference(pixels!, pace);
    await keeper.put("reference", key, features);
    return { key, cached: features };
  }
}
