/**
 * The state of AdamW, LambdaLR and GradScaler in a folder of accelerate's, read
 * as data: nothing in it is executed.
 *
 * @module
 */
import {
  badCheckpoint,
  type CheckpointTensor,
  readFloats,
} from "../../../src/checkpoints/checkpoint.ts";
import {
  PickleDict,
  PickleList,
  type PickleValue,
} from "../../../src/checkpoints/pickle_values.ts";
import {
  openTorchContent,
  type TorchContent,
} from "../../../src/checkpoints/torch_file.ts";
import { FileSource } from "../../../src/host/files.ts";
import { brief } from "../../../src/weights/brief.ts";
import { formatShape } from "../../../src/weights/dtype.ts";
import type { ParameterMoments } from "./state_dicts.ts";

/** A parameter that an optimiser's state must fit. */
export interface ExpectedParameter {
  /** Its name, for messages. */
  readonly name: string;
  /** Its shape. */
  readonly shape: readonly number[];
}

/** AdamW's state, read. */
export interface OptimiserContent {
  /** Steps taken. */
  readonly steps: number;
  /** Of each parameter; zeros before the first step. */
  readonly moments: readonly ParameterMoments[];
  /** Numbers of the first group, by PyTorch's names: lr, eps, weight_decay, … */
  readonly numbers: ReadonlyMap<string, number>;
}

/**
 * Reads `optimizer.bin`.
 *
 * @param path the file
 * @param expected the parameters in training, in the order of `parameters()`
 * @throws {MasterWeaverError} `bad-checkpoint` where it is no AdamW's, or not of these parameters; `cannot-read`
 */
export async function readOptimiser(
  path: string,
  expected: readonly ExpectedParameter[],
): Promise<OptimiserContent> {
  await using source = await FileSource.open(path);
  const content = await openTorchContent(source);
  const groups = listOf(fieldOf(content.value, "param_groups"));
  const count = groups.reduce(
    (sum: number, group) => sum + listOf(fieldOf(group, "params")).length,
    0,
  );
  if (count !== expected.length) {
    throw badCheckpoint(
      path,
      `it is the state of ${count} parameters, expected ${expected.length}: ` +
        "is it of another stage?",
    );
  }
  if (groups.some((group) => fieldOf(group, "amsgrad") === true)) {
    throw badCheckpoint(path, "it is of AMSGrad, expected plain AdamW");
  }
  const states = fieldOf(content.value, "state");
  if (!(states instanceof PickleDict)) {
    throw badCheckpoint(path, "it has no state");
  }
  const isFresh = states.entries.size === 0;
  const steps: number[] = [], moments: ParameterMoments[] = [];
  for (const [i, parameter] of expected.entries()) {
    if (!isFresh) steps.push(await stepsOf(content, i, parameter));
    const read = async (name: string) => ({
      shape: parameter.shape,
      data: isFresh
        ? zeros(parameter.shape)
        : await momentOf(content, i, name, parameter),
    });
    moments.push({
      first: await read("exp_avg"),
      second: await read("exp_avg_sq"),
    });
  }
  const odd = steps.findIndex((step) => step !== steps[0]);
  if (odd >= 0) {
    throw badCheckpoint(
      path,
      `${expected[odd].name} has taken ${steps[odd]} steps and ${
        expected[0].name
      } ${steps[0]}, expected as many of all`,
    );
  }
  return { steps: steps[0] ?? 0, moments, numbers: numbersOf(groups[0]) };
}

/** Steps of a parameter: a tensor of one number, in old files a number. */
async function stepsOf(
  { checkpoint, value }: TorchContent,
  i: number,
  { name }: ExpectedParameter,
): Promise<number> {
  const tensor = checkpoint.tensors.get(`state.${i}.step`);
  const steps = tensor && tensor.bytes <= 8
    ? (await numberOf(tensor))
    : fieldOf(fieldOf(fieldOf(value, "state"), i), "step");
  if (typeof steps === "number" && Number.isSafeInteger(steps) && steps > 0) {
    return steps;
  }
  throw badCheckpoint(
    checkpoint.name,
    `it has no steps of parameter ${i} (${name}), expected a whole number from 1`,
  );
}

async function numberOf(tensor: CheckpointTensor): Promise<number> {
  if (tensor.dtype !== "I64") return (await readFloats(tensor))[0];
  return Number(new BigInt64Array((await tensor.read()).buffer)[0]);
}

/** A moment of a parameter, as f32. */
async function momentOf(
  { checkpoint: { tensors, name } }: TorchContent,
  i: number,
  kind: string,
  parameter: ExpectedParameter,
): Promise<Float32Array<ArrayBuffer>> {
  const tensor = tensors.get(`state.${i}.${kind}`);
  const what = `parameter ${i} (${parameter.name})`;
  if (!tensor) throw badCheckpoint(name, `it has no ${kind} of ${what}`);
  checkShape(name, `${kind} of ${what}`, tensor.shape, parameter.shape);
  const values = await readFloats(tensor);
  if (values.every(Number.isFinite)) return values;
  throw badCheckpoint(name, `${kind} of ${what} is not finite`);
}

/**
 * Checks a shape.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function checkShape(
  file: string,
  what: string,
  found: readonly number[],
  expected: readonly number[],
): void {
  if (formatShape(found) === formatShape(expected)) return;
  throw badCheckpoint(
    file,
    `${what} has shape ${formatShape(found)}, expected ${
      formatShape(expected)
    }`,
  );
}

/** LambdaLR's state, read. */
export interface SchedulerContent {
  /** How often it was stepped. */
  readonly counted: number;
}

/**
 * Reads `scheduler.bin`.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function readScheduler(path: string): Promise<SchedulerContent> {
  await using source = await FileSource.open(path);
  const { value } = await openTorchContent(source);
  return { counted: wholeOf(path, value, "last_epoch") };
}

/** GradScaler's state, read. */
export interface ScalerContent {
  /** The loss scale. */
  readonly lossScale: number;
  /** Steps since it last changed. */
  readonly cleanSteps: number;
}

/**
 * Reads `scaler.pt`.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function readScaler(path: string): Promise<ScalerContent> {
  await using source = await FileSource.open(path);
  const { value } = await openTorchContent(source);
  const lossScale = fieldOf(value, "scale");
  const isScale = typeof lossScale === "number" && lossScale > 0 &&
    lossScale < Infinity;
  if (!isScale) throw badCheckpoint(path, "it has no scale above 0");
  return { lossScale, cleanSteps: wholeOf(path, value, "_growth_tracker") };
}

function wholeOf(path: string, value: PickleValue, name: string): number {
  const found = fieldOf(value, name);
  if (typeof found === "number" && Number.isSafeInteger(found) && found >= 0) {
    return found;
  }
  throw badCheckpoint(
    path,
    `${name} is ${
      found === undefined ? "missing" : brief(found)
    }, expected a whole number from 0`,
  );
}

/** Numbers of a group of parameters, those of tuples as `betas.0`. */
function numbersOf(group: PickleValue): Map<string, number> {
  const numbers = new Map<string, number>();
  const entries = group instanceof PickleDict ? [...group.entries] : [];
  for (const [name, value] of entries) {
    if (typeof value === "number") numbers.set(String(name), value);
    if (name !== "betas") continue;
    for (const [i, beta] of listOf(value).entries()) {
      if (typeof beta === "number") numbers.set(`${name}.${i}`, beta);
    }
  }
  return numbers;
}

function fieldOf(
  value: PickleValue | undefined,
  key: string | number,
): PickleValue {
  return value instanceof PickleDict ? value.entries.get(key) ?? null : null;
}

function listOf(value: PickleValue): readonly PickleValue[] {
  return value instanceof PickleList ? value.items : [];
}

function zeros(shape: readonly number[]): Float32Array<ArrayBuffer> {
  return new Float32Array(shape.reduce((n, length) => n * length, 1));
}
