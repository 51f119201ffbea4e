/**
 * Reads a run without training in it.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { readShortFile } from "../../../src/host/files.ts";
import { reason } from "../../../src/host/reasons.ts";
import {
  checkpointName,
  isUnusable,
  loadCheckpoint,
  stepOf,
  type TrainCheckpoint,
} from "./checkpoint.ts";
import { SETTINGS_NAME } from "./check_folder.ts";
import { MAX_SETTINGS_BYTES } from "./run_folder.ts";
import {
  FIXED_OPTIONS,
  fixedHash,
  parseSettings,
  type RunSettings,
} from "./settings.ts";

/** A run, read. */
export interface StoredRun {
  /** What it was started with, or last went on with. */
  readonly settings: RunSettings;
  /** The checkpoint that was asked for. */
  readonly checkpoint: TrainCheckpoint;
  /** Newer checkpoints that are not whole, and why. */
  readonly broken: readonly string[];
}

/**
 * Reads a run's settings and one of its checkpoints.
 *
 * @param path the run's folder
 * @param step of the checkpoint; the newest that is whole where not given
 * @throws {MasterWeaverError} `bad-option` where it is no run, or has no such checkpoint; `bad-checkpoint`, `cannot-read`
 */
export async function readRun(path: string, step?: number): Promise<StoredRun> {
  const steps = await stepsOf(path);
  const name = `${path}/${SETTINGS_NAME}`;
  const { settings } = parseSettings(
    await readShortFile(name, MAX_SETTINGS_BYTES),
    name,
  );
  const hash = fixedHash(settings, FIXED_OPTIONS);
  const load = (step: number) =>
    loadCheckpoint(`${path}/${checkpointName(step)}`, hash);
  if (step !== undefined) {
    if (steps.includes(step)) {
      return { settings, checkpoint: await load(step), broken: [] };
    }
    throw none(path, `of step ${step}`, steps);
  }
  const broken: string[] = [];
  for (const newest of steps.toReversed()) {
    try {
      return { settings, checkpoint: await load(newest), broken };
    } catch (error) {
      if (!isUnusable(error)) throw error;
      broken.push(error.message);
    }
  }
  throw none(path, "that is whole", steps);
}

function none(
  path: string,
  which: string,
  steps: readonly number[],
): MasterWeaverError {
  const found = steps.length > 0
    ? `those of steps ${steps.join(", ")}`
    : "none";
  return new MasterWeaverError(
    "bad-option",
    `Cannot use the run in ${path}: expected a checkpoint ${which}, found ${found}`,
  );
}

/** Steps of all checkpoints, whole or not, oldest first. */
async function stepsOf(path: string): Promise<number[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(path));
    return entries.flatMap(({ name }) => stepOf(name) ?? [])
      .toSorted((a, b) => a - b);
  } catch (error) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot use ${path} as the folder of a run: ${reason(error)}`,
      { cause: error },
    );
  }
}
