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
import { copyBuffers } from "../gpu/copies.ts";
import type { BufferSlice } from "../gpu/buffers.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import { Pace } from "../gpu/pace.ts";
import { KernelChoice } from "../graph/kernel_choice.ts";
import { type GpuTensor, Plan } from "../graph/plan.ts";
import { GpuTensors } from "../graph/tensors.ts";
import type { Tuner } from "../graph/tuner.ts";
import { WeightStore } from "../graph/weight_store.ts";
import { identityGraph } from "../identity/identity.ts";
import { elementBytes, elementCount, tensorBytes } from "../ops/op.ts";
import { alphasCumprod } from "../samplers/noise_levels.ts";
import {
  type EditBatch,
  type ReferenceInput,
  resizeBilinear,
  type StepBatch,
} from "./batch.ts";
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
import { BOX_EPS } from "./step/losses.ts";
import {
  type BlockPicker,
  blockPickers,
  chooseRecompute,
  type Recompute,
} from "./step/recompute_choice.ts";
import type { Trainable } from "./step/trainable.ts";
import { FrozenTowers, type ReferencePlace } from "./towers.ts";
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
  readonly #alphas: Float32Array;
  readonly #log: LossLog;
  /** Features of an empty reference, (1, tokens, E). */
  readonly #empty: GpuTensors;
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
    this.#empty = parts.empty;
    this.#owned = owned;
    this.#alphas = alphasCumprod(options.components.unet.config.scheduler);
  }

  /**
   * Loads what training needs and makes every plan.
   *
   * @throws {MasterWeaverError} `bad-model`, `bad-option`, `cannot-read`, `gpu`, `out-of-memory`
   */
  static async make(options: TrainerOptions): Promise<Trainer> {
    const { gpu, storage, tuner, components, trainable } = options;
    const { batch, latentSize, logged = 64 } = options;
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
    const { plans } = this;
    this.#writeLevels("", batch.timesteps);
    plans.write("latents", batch.latents);
    plans.write("noise", batch.noise);
    plans.write("mix", batch.mix);
    plans.write("outside", batch.faceBox.map((inside) => 1 - inside));
    plans.write(
      "sample_weights",
      batch.sampleWeights ?? new Float32Array(this.#options.batch).fill(1),
    );
    await this.towers.encodeText(batch.ids, plans.input("text"), pace);
    await this.#writeReferences(batch.references, pace);
    if (batch.edit) await this.#writeEdit(batch.edit, batch.faceBox, pace);
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
        this.#writeLevels("", new Array(size).fill(timestep));
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

  /** Noise levels and timesteps of the batch's images, or of its edits. */
  #writeLevels(prefix: string, timesteps: readonly number[]): void {
    const alphas = timesteps.map((t) => this.#alphas[t]);
    const { plans } = this;
    plans.write(`${prefix}t`, Float32Array.from(timesteps));
    plans.write(
      `${prefix}signal_level`,
      Float32Array.from(alphas, (alpha) => Math.sqrt(alpha)),
    );
    plans.write(
      `${prefix}noise_level`,
      Float32Array.from(alphas, (alpha) => Math.sqrt(1 - alpha)),
    );
  }

  /** Fills `features`: copied, computed, or written as they were computed before. */
  async #writeReferences(
    references: readonly ReferenceInput[],
    pace: Pace,
  ): Promise<void> {
    const features = this.plans.input("features");
    const { spec: { shape, dtype }, slice } = features;
    const [count, ...rest] = shape;
    if (references.length !== count) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot train on ${references.length} references a step: expected ${count}`,
      );
    }
    const values = elementCount(rest);
    const bytes = values * elementBytes(dtype);
    const place = (i: number): BufferSlice => ({
      buffer: slice.buffer,
      offset: slice.offset + i * bytes,
      size: bytes,
    });
    const copies: (readonly [BufferSlice, BufferSlice])[] = [];
    const encoded: ReferencePlace[] = [];
    for (const [i, reference] of references.entries()) {
      if (reference === null) {
        copies.push([this.#empty.bindings.features.slice, place(i)]);
      } else if ("features" in reference) {
        checkLength(reference.features, values, "features of a reference");
        this.plans.writePart("features", reference.features, i * values);
      } else {
        encoded.push({ pixels: reference.pixels, to: place(i) });
      }
    }
    copyBuffers(this.#options.gpu, copies);
    await this.towers.encodeReferences(encoded, pace);
  }

  async #writeEdit(
    { plainIds, editedIds, noise, timesteps }: EditBatch,
    faceBox: Float32Array,
    pace: Pace,
  ): Promise<void> {
    const { plans, towers } = this;
    this.#writeLevels("edit_", timesteps);
    plans.write("edit_noise", noise);
    await towers.encodeText(plainIds, plans.input("plain_text"), pace);
    await towers.encodeText(editedIds, plans.input("edited_text"), pace);
    await this.#writeBoxes(faceBox);
  }

  /** The face boxes at the size of each layer, and their sums, over all ranks. */
  async #writeBoxes(faceBox: Float32Array): Promise<void> {
    const { plans } = this;
    const { latentSize: [height, width], meanOverRanks } = this.#options;
    const area = height * width;
    const sizes: string[] = [];
    const sums: number[] = [];
    for (const name of plans.inputs) {
      const [, rows, columns] = /^box_(\d+)x(\d+)$/.exec(name) ?? [];
      if (!rows) continue;
      const { spec: { shape: [batch, tokens] } } = plans.input(name);
      const boxes = new Float32Array(batch * tokens);
      for (let b = 0; b < batch; b++) {
        const box = faceBox.subarray(b * area, (b + 1) * area);
        const size = [Number(rows), Number(columns)] as const;
        boxes.set(resizeBilinear(box, [height, width], size), b * tokens);
      }
      plans.write(name, boxes);
      sizes.push(`${rows}x${columns}`);
      sums.push(boxes.reduce((sum, value) => sum + value, 0));
    }
    const areas = Float32Array.from(sums);
    await meanOverRanks?.(areas);
    sizes.forEach((size, i) =>
      plans.write(`area_${size}`, Float32Array.of(areas[i] + BOX_EPS))
    );
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}

/** What was kept on disk may be of another model or damaged. */
function checkLength(
  { length }: Float32Array,
  expected: number,
  what: string,
): void {
  if (length === expected) return;
  throw new MasterWeaverError(
    "bad-data",
    `Cannot use the ${what}: there are ${length} values, expected ${expected}; remove the cache, it is made again`,
  );
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

/**
 * The vision tower's features of an empty reference; their tokens, by the adapter
 * that training starts from, are written to the step's `no_identity`.
 */
async function emptyReference(
  { gpu, storage, tuner, components }: TrainerOptions,
  plans: StepPlans,
): Promise<GpuTensors> {
  const channels = components.unet.config.crossAttentionDim;
  const graph = identityGraph(storage, { ...components, channels });
  const kernels = new KernelChoice(graph, tuner.choose);
  using store = new WeightStore(gpu);
  await store.load(kernels.parameters);
  using plan = await Plan.make(gpu, graph, { weights: [store], kernels });
  plan.run();
  const features = plan.tensor("features");
  const kept = await GpuTensors.make(gpu, { features: features.spec });
  const copies: (readonly [BufferSlice, BufferSlice])[] = [
    [features.slice, kept.bindings.features.slice],
  ];
  if (plans.hasInput("no_identity")) {
    const tokens = plan.tensor("tokens");
    for (const to of repeats(plans.input("no_identity"), tokens)) {
      copies.push([tokens.slice, to]);
    }
  }
  copyBuffers(gpu, copies);
  await gpu.idle();
  return kept;
}

/** The places of one tensor after the other in a larger one. */
function repeats(into: GpuTensor, { spec }: GpuTensor): BufferSlice[] {
  const bytes = tensorBytes(spec);
  const count = tensorBytes(into.spec) / bytes;
  return Array.from({ length: count }, (_, i) => ({
    buffer: into.slice.buffer,
    offset: into.slice.offset + i * bytes,
    size: bytes,
  }));
}
