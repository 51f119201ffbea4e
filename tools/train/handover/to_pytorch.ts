/**
 * Hands a run over to PyTorch: writes a checkpoint as accelerate's `load_state`
 * reads it.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { openTorchZip } from "../../../src/checkpoints/torch_file.ts";
import { readFloats } from "../../../src/checkpoints/checkpoint.ts";
import { inModuleOrder } from "../../../src/checkpoints/module_order.ts";
import type { PythonDict } from "../../../src/checkpoints/python_values.ts";
import { writeSafetensors } from "../../../src/checkpoints/safetensors_writer.ts";
import { checkpointKey } from "../../../src/checkpoints/tables/identity_adapter.ts";
import {
  writeTorchValue,
  writeTorchZip,
} from "../../../src/checkpoints/torch_writer.ts";
import { FileSource, writeFileAtomic } from "../../../src/host/files.ts";
import { asCannotWrite, type WriteContent } from "../../../src/host/write.ts";
import { learningRateAt } from "../../../src/train/optimiser/schedules.ts";
import { stageSettings } from "../../../src/train/stages.ts";
import { readOptions } from "../../tool.ts";
import { OPTIONS, required, stageOf, type TrainValues } from "../options.ts";
import {
  paddedStep,
  type TrainArray,
  type TrainCheckpoint,
} from "../run/checkpoint.ts";
import { readRun } from "../run/read_run.ts";
import type { RunSettings } from "../run/settings.ts";
import { optimiserOptions, scheduleOf } from "../settings.ts";
import { readOptimiserState } from "../state.ts";
import { FILES, optimiserDict, type Rates } from "./state_dicts.ts";
import { scalerDict, schedulerDict } from "./state_dicts.ts";

/** What was handed over. */
export interface HandedOver {
  /** The folder. */
  readonly output: string;
  /** Updates that were done. */
  readonly step: number;
  /** Names of the files in it. */
  readonly files: readonly string[];
  /** What the user should know, one line each. */
  readonly warnings: readonly string[];
}

/** A tensor of the adapter. */
interface AdapterTensor extends TrainArray {
  /** Its path in the adapter's `.pt`: a state dict's name, and its own in it. */
  readonly name: string;
  /** Its name in our checkpoint, if it is trained. */
  readonly trainedAs?: string;
}

/**
 * Writes a checkpoint of a run as a folder for accelerate.
 *
 * @param values with `--to-pytorch` and `--output`
 * @throws {MasterWeaverError} `bad-option` where the run is none of an adapter, or the folder holds something; `bad-checkpoint`, `cannot-read`, `cannot-write`
 */
export async function toPyTorch(values: TrainValues): Promise<HandedOver> {
  const given = required(values, "to-pytorch", "output");
  const { "to-pytorch": path, output } = given;
  const { settings, checkpoint, broken } = await readRun(path, values.step);
  const run = valuesOf(settings);
  if (run.train !== "adapter") {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot hand the run in ${path} over: it trains ${run.train}, expected adapter, the only one that the reference trains`,
    );
  }
  const ranks = Number(settings.options["num-processes"] ?? 1);
  const processes = values["num-processes"] ?? ranks;
  const { step, arrays } = checkpoint;
  const state = readOptimiserState(checkpoint);
  const tensors = await adapterTensors(path, checkpoint);
  const { learningRateFactor } = stageSettings(stageOf(run));
  const schedule = scheduleOf(run, ranks);
  const rates: Rates = {
    initial: schedule.learningRate * learningRateFactor,
    current: learningRateAt(schedule, step) * learningRateFactor,
  };
  const moments = tensors.flatMap(({ trainedAs }) =>
    trainedAs === undefined ? [] : [{
      first: arrayOf(checkpoint, "firstMoments", trainedAs),
      second: arrayOf(checkpoint, "secondMoments", trainedAs),
    }]
  );
  const isScaled = run["mixed-precision"] === "fp16";
  const files: Record<string, WriteContent> = {
    "model.safetensors": modelContent(tensors),
    [`adapter_${paddedStep(step)}.pt`]: adapterContent(tensors),
    [FILES.optimiser]: torchContent(
      optimiserDict(moments, state.steps, rates, optimiserOptions(run)),
    ),
    [FILES.scheduler]: torchContent(schedulerDict(step * processes, rates)),
    ...isScaled && { [FILES.scaler]: torchContent(scalerDict(state)) },
  };
  await makeEmpty(output);
  for (const [name, write] of Object.entries(files)) {
    await writeFileAtomic(`${output}/${name}`, write);
  }
  const hasMean = Object.keys(arrays).some((name) =>
    name.startsWith("average/")
  );
  return {
    output,
    step,
    files: Object.keys(files),
    warnings: [
      ...broken,
      ...hasMean
        ? [
          "The running mean of the parameters is left out: accelerate keeps none",
        ]
        : [],
    ],
  };
}

/** Options that a hand-over depends on. */
const READ: readonly (keyof TrainValues)[] = [
  "stage",
  "train",
  "learning-rate",
  "scale-lr",
  "no-scale-lr",
  "lr-scheduler",
  "lr-warmup-steps",
  "max-train-steps",
  "train-batch-size",
  "gradient-accumulation-steps",
  "mixed-precision",
  "adam-beta1",
  "adam-beta2",
  "adam-weight-decay",
  "adam-epsilon",
];

/** A run's options, read again as those of a command line. */
function valuesOf({ options }: RunSettings): TrainValues {
  const args = READ.flatMap((name) => {
    const value = options[name];
    if (value === undefined || value === null || value === false) return [];
    return value === true ? [`--${name}`] : [`--${name}=${value}`];
  });
  const read = readOptions(args, OPTIONS);
  if (read === "help") throw new TypeError("No option is --help");
  return read.values;
}

/** All tensors of the adapter, in the order of `parameters()`. */
async function adapterTensors(
  path: string,
  checkpoint: TrainCheckpoint,
): Promise<AdapterTensor[]> {
  const prefix = "parameters/";
  const names = Object.keys(checkpoint.arrays)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
  const keyOf = checkpointKey(names);
  const tensors = new Map<string, AdapterTensor>();
  const isWhole = names.some((name) => !name.startsWith("id_encoder."));
  // What is not trained is beside the checkpoint.
  if (!isWhole) {
    const file = `${path}/adapter_${paddedStep(checkpoint.step)}.pt`;
    await using source = await FileSource.open(file);
    for (const [name, tensor] of (await openTorchZip(source)).tensors) {
      const { shape } = tensor;
      tensors.set(name, { name, shape, data: await readFloats(tensor) });
    }
  }
  for (const trainedAs of names) {
    const key = keyOf(trainedAs);
    if (!key) {
      throw new MasterWeaverError(
        "bad-checkpoint",
        `Cannot hand ${checkpoint.folder} over: the reference has no name for ${trainedAs}`,
      );
    }
    const name = `${key.dict}.${key.name}`;
    const array = arrayOf(checkpoint, "parameters", trainedAs);
    tensors.set(name, { ...array, name, trainedAs });
  }
  return inModuleOrder([...tensors.values()]);
}

function arrayOf(
  { arrays, folder }: TrainCheckpoint,
  kind: string,
  name: string,
): TrainArray {
  const array = arrays[`${kind}/${name}`];
  if (array) return array;
  throw new MasterWeaverError(
    "bad-checkpoint",
    `Cannot hand ${folder} over: it has no ${kind} of ${name}`,
  );
}

/**
 * The module that the reference prepares, with `id_encoder` and
 * `adapter_modules` inside. accelerate saves it without the wrapper that it gives
 * it for several processes.
 */
function modelContent(tensors: readonly AdapterTensor[]): WriteContent {
  const content = tensors.map(({ name, shape, data }) => ({
    name,
    shape,
    floats: () => [data],
  }));
  return (append) => writeSafetensors(append, content, "F32", { format: "pt" });
}

/** The adapter alone, as the reference's `--adapter_path` takes it. */
function adapterContent(tensors: readonly AdapterTensor[]): WriteContent {
  const dicts = ["id_encoder", "adapter_modules"].map((name) => ({
    name,
    tensors: tensors.filter((tensor) => tensor.name.startsWith(`${name}.`))
      .map(({ name: full, shape, data }) => ({
        name: full.slice(name.length + 1),
        shape,
        floats: async function* () {
          yield await Promise.resolve(data);
        },
      })),
  }));
  return (append) => writeTorchZip(append, dicts);
}

function torchContent(value: PythonDict): WriteContent {
  return (append) => writeTorchValue(append, value);
}

/** Makes a folder; what is in it already could be taken for part of this. */
async function makeEmpty(path: string): Promise<void> {
  await asCannotWrite(path, () => Deno.mkdir(path, { recursive: true }));
  for await (const { name } of Deno.readDir(path)) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot hand a run over to ${path}: it holds ${name}; give a new or empty folder`,
    );
  }
}
