/**
 * One checkpoint of a training run: a folder with the trainer's arrays and
 * state, and a list of its files with their checksums.
 *
 * @module
 */
import type { ByteSource } from "../../../src/base/bytes.ts";
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { formatValue } from "../../../src/base/format_value.ts";
import {
  badCheckpoint,
  chunksOf,
  readFloats,
} from "../../../src/checkpoints/checkpoint.ts";
import { openSafetensors } from "../../../src/checkpoints/safetensors.ts";
import { writeSafetensors } from "../../../src/checkpoints/safetensors_writer.ts";
import { FileSource, readShortFile } from "../../../src/host/files.ts";
import { Crc32 } from "../../../src/weights/crc32.ts";
import { parseJson } from "../../../src/weights/json.ts";
import type { JsonObject } from "../../../src/weights/weave.ts";
import type { WriteContent } from "../../../src/host/write.ts";

/** An array of the trainer: parameters, a moment, an average. */
export interface TrainArray {
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Its values in row-major order. */
  readonly data: Float32Array<ArrayBuffer>;
}

/** A checkpoint, loaded. */
export interface TrainCheckpoint {
  /** Its folder. */
  readonly folder: string;
  /** Steps that were done. */
  readonly step: number;
  /** By name. */
  readonly arrays: Readonly<Record<string, TrainArray>>;
  /** All else that the trainer needs to go on. */
  readonly state: JsonObject;
}

/** An array to be written; one that is on the GPU is read when its turn comes. */
export interface ArrayToWrite {
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Its values in row-major order. */
  readonly data:
    | Float32Array<ArrayBuffer>
    | (() => Promise<Float32Array<ArrayBuffer>>);
}

/** What is written to a file, and how much of it there is. */
export interface FileSum {
  /** Its name in the checkpoint's folder. */
  readonly name: string;
  /** Its size. */
  readonly bytes: number;
  /** CRC-32 of its content. */
  readonly crc32: number;
}

/** The file of arrays and state. */
export const STATE_NAME = "state.safetensors";
/** The list of files, written last. */
export const LIST_NAME = "checkpoint.json";
/** What begins the list, so that no other file is taken for one. */
const FORMAT = "masterweaver-training-checkpoint";
const MAX_LIST_BYTES = 2 ** 20;
/** Values that are written at a time. */
const CHUNK_VALUES = 2 ** 20;

/** The name of a step's folder. */
export function checkpointName(step: number): string {
  return `checkpoint-${paddedStep(step)}`;
}

/** A step as the reference writes it in names: six digits or more. */
export function paddedStep(step: number): string {
  return String(step).padStart(6, "0");
}

/** The step in a folder's name; undefined for other names. */
export function stepOf(name: string): number | undefined {
  const digits = /^checkpoint-(\d{6,})$/.exec(name)?.[1];
  const step = Number(digits);
  return digits !== undefined && checkpointName(step) === name
    ? step
    : undefined;
}

/** Writes arrays and state, the content of {@linkcode STATE_NAME}. */
export function stateContent(
  arrays: Readonly<Record<string, ArrayToWrite>>,
  state: JsonObject,
): WriteContent {
  const tensors = Object.entries(arrays).map(([name, { shape, data }]) => ({
    name,
    shape,
    floats: async function* () {
      const values = typeof data === "function" ? await data() : data;
      // Written chunk by chunk, so that other work has its turn in between.
      for (let at = 0; at < values.length; at += CHUNK_VALUES) {
        yield values.subarray(at, at + CHUNK_VALUES);
      }
    },
  }));
  return (append) =>
    writeSafetensors(append, tensors, "F32", {
      state: JSON.stringify(state),
    });
}

/** The text of {@linkcode LIST_NAME}. */
export function listText(
  step: number,
  settingsHash: string,
  files: readonly FileSum[],
): string {
  return JSON.stringify(
    { format: FORMAT, version: 1, step, settings_hash: settingsHash, files },
    null,
    2,
  ) + "\n";
}

/**
 * Loads a checkpoint, every byte of it checked.
 *
 * @param folder a `checkpoint-…` folder of a run
 * @param settingsHash of the run that it must belong to; any where not given
 * @throws {MasterWeaverError} `bad-checkpoint` where it is incomplete, damaged, of another step than its name or of another run; `cannot-read`
 */
export async function loadCheckpoint(
  folder: string,
  settingsHash?: string,
): Promise<TrainCheckpoint> {
  const list = await readList(folder);
  if (settingsHash !== undefined && list.settingsHash !== settingsHash) {
    throw badCheckpoint(
      folder,
      "it belongs to a run with another model or other settings",
    );
  }
  const named = stepOf(folder.replace(/^.*[/\\]/s, ""));
  checkStep(folder, "its name", named ?? list.step, list.step);
  const path = `${folder}/${STATE_NAME}`;
  const sum = list.files.find(({ name }) => name === STATE_NAME);
  if (!sum) throw badCheckpoint(folder, `its list has no ${STATE_NAME}`);
  await using source = await FileSource.open(path);
  await checkSum(source, sum);
  const { tensors, metadata } = await openSafetensors(source);
  const arrays: Record<string, TrainArray> = Object.create(null);
  for (const [name, tensor] of tensors) {
    arrays[name] = { shape: tensor.shape, data: await readFloats(tensor) };
  }
  const { step } = list;
  const state = parseState(metadata, path);
  checkStep(folder, `${STATE_NAME} says`, state.step ?? step, step);
  return { folder, step, arrays, state };
}

/**
 * Compares the step in a checkpoint's list with the one that something else says:
 * a folder that was renamed, or filled with another's files, is none.
 */
function checkStep(
  folder: string,
  who: string,
  said: unknown,
  step: number,
): void {
  if (said === step) return;
  throw badCheckpoint(
    folder,
    `${LIST_NAME} says step ${step}, but ${who} ${
      formatValue(said)
    }: files of two checkpoints are mixed, or it was renamed`,
  );
}

interface List {
  readonly step: number;
  readonly settingsHash: string;
  readonly files: readonly FileSum[];
}

async function readList(folder: string): Promise<List> {
  const path = `${folder}/${LIST_NAME}`;
  const bytes = await readShortFile(path, MAX_LIST_BYTES);
  const { format, version, step, settings_hash: settingsHash, files } =
    parseObject(bytes, path);
  if (format !== FORMAT || version !== 1) {
    throw badCheckpoint(
      path,
      `it does not say "format": "${FORMAT}", "version": 1`,
    );
  }
  if (
    !isWhole(step) || typeof settingsHash !== "string" ||
    !Array.isArray(files) || !files.every(isFileSum)
  ) {
    throw badCheckpoint(path, "step, settings_hash or files are missing");
  }
  return { step, settingsHash, files };
}

/** Compares a file with what the list says of it. */
async function checkSum(source: ByteSource, sum: FileSum): Promise<void> {
  const { bytes, crc32 } = sum;
  if (source.size !== bytes) {
    throw badCheckpoint(
      source.name,
      `it has ${source.size} bytes, expected ${bytes}`,
    );
  }
  const crc = new Crc32();
  for await (const chunk of chunksOf(source, 0, bytes)) crc.update(chunk);
  if (crc.value !== crc32) {
    throw badCheckpoint(
      source.name,
      `its CRC-32 is ${hex(crc.value)}, expected ${hex(crc32)}: it is damaged`,
    );
  }
}

function parseState(
  metadata: Readonly<Record<string, string>>,
  path: string,
): JsonObject {
  const text = metadata.state;
  if (text === undefined) throw badCheckpoint(path, "it holds no state");
  return parseObject(new TextEncoder().encode(text), path);
}

function parseObject(bytes: Uint8Array, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch (cause) {
    throw badCheckpoint(path, "it is not JSON, or not whole", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badCheckpoint(path, "it is not a JSON object");
  }
  return value as Record<string, unknown>;
}

function isFileSum(value: unknown): value is FileSum {
  const { name, bytes, crc32 } = (value ?? {}) as Partial<FileSum>;
  return typeof name === "string" && isWhole(bytes) && isWhole(crc32);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}

/** Whether an error says that a checkpoint cannot be used, and not that something else is wrong. */
export function isUnusable(error: unknown): error is MasterWeaverError {
  return error instanceof MasterWeaverError &&
    ["bad-checkpoint", "cannot-read"].includes(error.code);
}
