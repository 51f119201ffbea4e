/**
 * Runs recorded training steps, for comparison with PyTorch.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { openSafetensors } from "../../src/checkpoints/safetensors.ts";
import {
  type CheckpointTensor,
  readFloats,
} from "../../src/checkpoints/checkpoint.ts";
import { writeSafetensors } from "../../src/checkpoints/safetensors_writer.ts";
import { checkpointKey } from "../../src/checkpoints/tables/identity_adapter.ts";
import type { Components } from "../../src/components/networks.ts";
import { chooseDtype, Gpu } from "../../src/gpu/gpu.ts";
import { Pace } from "../../src/gpu/pace.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import { userTuneStore } from "../../src/host/cache.ts";
import {
  checkWritable,
  FileSource,
  writeFileAtomic,
} from "../../src/host/files.ts";
import {
  channelsFirst,
  type RecordedTensor,
  Recording,
} from "../../src/train/recording.ts";
import { DEFAULT_LOSS_SCALING } from "../../src/train/optimiser/optimiser.ts";
import { stageSettings, stageTrainable } from "../../src/train/stages.ts";
import type { Moments } from "../../src/train/towers.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { openModel } from "./model.ts";
import {
  REPLAY_LEARNING_RATE,
  required,
  stageOf,
  type TrainValues,
} from "./options.ts";
import { optimiserOptions } from "./settings.ts";

/** What a recorded step gave, by the names of `metrics.jsonl`. */
export interface ReplayedStep {
  /** The weighted error in the predicted noise. */
  readonly loss_mle: number;
  /** The background loss. */
  readonly loss_bg: number;
  /** The editing-direction loss; 0 in steps without it. */
  readonly loss_edit: number;
  /** The norm of all gradients before clipping. */
  readonly grad_norm: number;
}

/** What a replay gave. */
export interface Replay {
  /** The learning rate of the trained parameters. */
  readonly lr: number;
  /** One a step. */
  readonly losses: readonly ReplayedStep[];
  /** The file of gradients and parameters. */
  readonly output: string;
}

/** A recording, and what replays it. */
export interface OpenedReplay extends AsyncDisposable {
  /** Has done no step yet. */
  readonly trainer: Trainer;
  /** The draws of its steps. */
  readonly recording: Recording;
  /** The model's networks. */
  readonly components: Components;
  /** The learning rate, before the stage's factor. */
  readonly learningRate: number;
  /** The stage's factor of it. */
  readonly learningRateFactor: number;
  /** Computes the losses and gradients of a step. */
  step(step: number): Promise<void>;
  /** Updates the parameters from a step's gradients. */
  update(step: number): Promise<void>;
  /** What steps gave, from the first on and before the end. */
  readLog(first: number, end: number): Promise<ReplayedStep[]>;
}

/**
 * Opens a recording and prepares its steps.
 *
 * @throws {MasterWeaverError} `bad-option` where the recording does not fit the model; `bad-checkpoint`, `bad-model`, `cannot-read`, `out-of-memory`
 */
export async function openReplay(values: TrainValues): Promise<OpenedReplay> {
  const { model, replay: inputs } = required(values, "model", "replay");
  const stage = stageOf(values);
  await using stack = new AsyncDisposableStack();
  const gpu = stack.use(await Gpu.open());
  const storage = chooseDtype(
    gpu,
    values["mixed-precision"] === "fp16" ? "f16" : "f32",
  );
  const { components } = stack.use(
    await openModel(model, values["adapter-path"], storage),
  );
  const recording = new Recording(
    await readRecording(inputs),
    sizesOf(components),
    stage,
  );
  const { lambdaNoise, lambdaEdit, learningRateFactor } = stageSettings(
    stage,
    values["lambda-edit"],
  );
  const trainer = stack.use(
    await Trainer.make({
      gpu,
      storage,
      tuner: new Tuner(gpu, values.tune, userTuneStore()),
      components,
      trainable: stageTrainable(stage, components),
      batch: recording.batch,
      latentSize: recording.latentSize,
      lambdaNoise,
      lambdaEdit,
      recompute: values.recompute,
      optimiser: {
        ...optimiserOptions(values),
        lossScaling: storage === "f16" ? DEFAULT_LOSS_SCALING : undefined,
      },
      logged: recording.steps,
    }),
  );
  const pace = new Pace(gpu);
  const moments: Moments[] = [];
  for (const image of recording.images ?? []) {
    moments.push(await trainer.towers.encodeImage(image, pace));
  }
  const { scalingFactor } = components.vae.config;
  const latents = recording.latents(moments, scalingFactor);
  const learningRate = values["learning-rate"] ?? REPLAY_LEARNING_RATE;
  const owned = stack.move();
  return {
    trainer,
    recording,
    components,
    learningRate,
    learningRateFactor,
    step: (step) => trainer.step(step, recording.step(step, latents), pace),
    update: (step) => trainer.update(step, { learningRate }, pace),
    async readLog(first, end) {
      const rows = await trainer.readLog(first, end - first);
      return rows.map(({ noise, background, edit, gradientNorm }) => ({
        loss_mle: noise,
        loss_bg: background,
        loss_edit: edit,
        grad_norm: gradientNorm,
      }));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Replays the steps of a recording and writes predictions and gradients of the
 * first, and parameters after the last.
 *
 * @throws {MasterWeaverError} `bad-option` where the recording does not fit the model; `bad-checkpoint`, `bad-model`, `cannot-read`, `cannot-write`, `out-of-memory`
 */
export async function replay(values: TrainValues): Promise<Replay> {
  const { output } = required(values, "model", "replay", "output");
  await checkWritable(output);
  await using opened = await openReplay(values);
  const { trainer, recording, components } = opened;
  const { steps } = recording;
  const written = new Map<string, RecordedTensor>();
  for (let step = 0; step < steps; step++) {
    await opened.step(step);
    if (step === 0) await recordFirst(trainer, recording, components, written);
    await opened.update(step);
  }
  const losses = await opened.readLog(0, steps);
  const wrong = losses.findIndex(({ loss_mle, loss_bg, loss_edit }) =>
    ![loss_mle, loss_bg, loss_edit].every(Number.isFinite)
  );
  if (wrong >= 0) {
    throw new MasterWeaverError(
      "non-finite",
      `Cannot replay the recording: the losses of step ${
        wrong + 1
      } are not finite; is the adapter sound?`,
    );
  }
  addParameters(
    written,
    `after${steps}`,
    await trainer.blocks.read("parameters"),
    trainer,
    components,
  );
  await writeTensors(output, written);
  const lr = opened.learningRate * opened.learningRateFactor;
  return { lr, losses, output };
}

/** Predictions and gradients of the first step. */
async function recordFirst(
  trainer: Trainer,
  { batch, latentSize: [height, width], edits }: Recording,
  components: Components,
  written: Map<string, RecordedTensor>,
): Promise<void> {
  const { channels } = components.unet.config;
  const plan = trainer.plans.plan(edits ? "edit" : "plain");
  const found = await plan.read("predicted", "predicted_mixed");
  const shape = [batch, channels, height, width];
  const size = [batch, height, width, channels] as const;
  const predictions = [
    ["eps_pred", found.predicted],
    ["eps_aug", found.predicted_mixed],
  ] as const;
  for (const [name, values] of predictions) {
    const data = channelsFirst(values as Float32Array, size);
    written.set(name, { shape, data });
  }
  const gradients = await trainer.blocks.read("gradients");
  const { lossScale } = await trainer.optimiser.readState();
  for (const values of gradients.values()) {
    for (let i = 0; i < values.length; i++) values[i] /= lossScale;
  }
  addParameters(written, "grad", gradients, trainer, components);
}

/** Adds one tensor a parameter, by the reference's names. */
function addParameters(
  written: Map<string, RecordedTensor>,
  prefix: string,
  values: ReadonlyMap<string, Float32Array>,
  { blocks }: Trainer,
  { adapter }: Components,
): void {
  const keyOf = checkpointKey([...adapter.file.tensors.keys()]);
  for (const [name, data] of values) {
    const { dict, name: own } = keyOf(name)!;
    const { spec: { shape } } = blocks.slice(name, "parameters");
    written.set(`${prefix}.${dict}.${own}`, { shape, data });
  }
}

function sizesOf({ unet, vae, text, adapter, vision }: Components) {
  return {
    latentChannels: unet.config.channels,
    factor: vae.config.factor,
    tokens: text.config.positions,
    vocabulary: text.config.vocabularySize,
    references: adapter.config.maxReferences,
    visionSide: vision.config.imageSize,
    trainSteps: unet.config.scheduler.trainSteps,
  };
}

/** Most values of a recording: a batch of 8 at 512 × 512 has a hundredth. */
const MAX_VALUES = 2 ** 30;

/** Reads every tensor of a recording; integers come as they are. */
async function readRecording(
  path: string,
): Promise<Map<string, RecordedTensor>> {
  await using source = await FileSource.open(path);
  const { tensors } = await openSafetensors(source);
  const recorded = new Map<string, RecordedTensor>();
  for (const [name, tensor] of tensors) {
    const count = tensor.shape.reduce((n, length) => n * length, 1);
    if (count > MAX_VALUES) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot replay ${path}: ${name} has ${count} values, expected at most ${MAX_VALUES}`,
      );
    }
    const data = await readValues(tensor);
    recorded.set(name, { shape: tensor.shape, data });
  }
  return recorded;
}

/** A tensor's values: whole numbers as they are, of 64 bits narrowed to 32. */
async function readValues(
  tensor: CheckpointTensor,
): Promise<Float32Array | Int32Array> {
  switch (tensor.dtype) {
    case "I32":
      return new Int32Array((await tensor.read()).buffer);
    case "I64":
      return Int32Array.from(
        new BigInt64Array((await tensor.read()).buffer),
        Number,
      );
    default:
      return await readFloats(tensor);
  }
}

async function writeTensors(
  path: string,
  tensors: ReadonlyMap<string, RecordedTensor>,
): Promise<void> {
  const content = [...tensors].map(([name, { shape, data }]) => ({
    name,
    shape,
    floats: () => [data as Float32Array<ArrayBuffer>],
  }));
  await writeFileAtomic(
    path,
    (append) => writeSafetensors(append, content, "F32"),
  );
}
