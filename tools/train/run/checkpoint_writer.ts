/**
 * Writes a checkpoint whole or not at all: everything is written to a folder
 * beside it, on the disk, before anything takes its place.
 *
 * @module
 */
import {
  appendTo,
  asCannotWrite,
  partials,
  synced,
  type WriteContent,
} from "../../../src/host/write.ts";
import { cannotWrite, isHostError } from "../../../src/host/reasons.ts";
import { type FileSystem, hostFileSystem } from "../../../src/host/system.ts";
import { Crc32 } from "../../../src/weights/crc32.ts";
import type { JsonObject } from "../../../src/weights/weave.ts";
import {
  type ArrayToWrite,
  checkpointName,
  type FileSum,
  LIST_NAME,
  listText,
  paddedStep,
  STATE_NAME,
  stateContent,
} from "./checkpoint.ts";
import { leftoverName } from "./leftovers.ts";

/** Trained weights in a form that other programs read. */
export interface WeightsFile {
  /** What its name begins with: `adapter` gives `adapter_002000.pt`. */
  readonly stem: string;
  /** Its kind. */
  readonly ending: "pt" | "weave" | "safetensors";
  /** Writes it. */
  readonly write: WriteContent;
}

/** What a checkpoint is made of. */
export interface CheckpointContent {
  /** Steps that were done. */
  readonly step: number;
  /** The trainer's arrays by name: parameters, moments, averages. */
  readonly arrays: Readonly<Record<string, ArrayToWrite>>;
  /** All else that the trainer needs to go on, as JSON. */
  readonly state: JsonObject;
  /** Trained weights, put beside the checkpoint's folder. */
  readonly weights: readonly WeightsFile[];
}

/** The name of a file of weights, as the reference names it. */
export function weightsName(
  { stem, ending }: WeightsFile,
  step: number | "final",
): string {
  return `${stem}_${step === "final" ? step : paddedStep(step)}.${ending}`;
}

/**
 * Writes a checkpoint into a run's folder. A process that is killed meanwhile
 * leaves a folder that the next one removes, or the checkpoint.
 *
 * @param run the run's folder
 * @param settingsHash of the run
 * @returns the checkpoint's folder
 * @throws {MasterWeaverError} `cannot-write`; then nothing is left of it
 */
export async function writeCheckpoint(
  run: string,
  content: CheckpointContent,
  settingsHash: string,
  system: FileSystem = hostFileSystem,
): Promise<string> {
  const { step, arrays, state, weights } = content;
  const folder = `${run}/${checkpointName(step)}`;
  const partial = `${run}/${leftoverName("partial")}`;
  const written: string[] = [];
  const put = async (name: string, write: WriteContent) => {
    const path = `${partial}/${name}`;
    written.push(path);
    partials.add(path);
    // After its files, so that a process that must end at once can remove it.
    partials.delete(partial);
    partials.add(partial);
    return await writeNew(path, `${folder}/${name}`, write, system);
  };
  try {
    await asCannotWrite(folder, () => Deno.mkdir(partial));
    const sums = [await put(STATE_NAME, stateContent(arrays, state))];
    for (const file of weights) {
      await put(weightsName(file, step), file.write);
    }
    const list = new TextEncoder().encode(listText(step, settingsHash, sums));
    await put(LIST_NAME, (append) => append(list));
    // All of it is on the disk: from here on, room is no question.
    for (const file of weights) {
      const name = weightsName(file, step);
      await system.rename(`${partial}/${name}`, `${run}/${name}`);
    }
    await takePlace(partial, folder, run, system);
  } catch (error) {
    await Deno.remove(partial, { recursive: true }).catch(() => {});
    // What the trainer itself throws while it is asked for its arrays is its own.
    throw isHostError(error) ? cannotWrite(folder, error) : error;
  } finally {
    for (const path of [...written, partial]) partials.delete(path);
  }
  return folder;
}

/** Writes a new file that nothing else knows of; messages name what it becomes. */
async function writeNew(
  path: string,
  shown: string,
  write: WriteContent,
  system: FileSystem,
): Promise<FileSum> {
  const file = await asCannotWrite(
    shown,
    () => system.open(path, { write: true, createNew: true }),
  );
  const crc = new Crc32();
  let bytes = 0;
  try {
    const append = appendTo(shown, file);
    await write(async (chunk) => {
      await append(chunk);
      crc.update(chunk);
      bytes += chunk.length;
    });
    await asCannotWrite(shown, () => synced(file));
  } finally {
    await file.close();
  }
  const name = path.slice(path.lastIndexOf("/") + 1);
  return { name, bytes, crc32: crc.value };
}

/** Renames a folder to its name; one that is there already goes once it is replaced. */
async function takePlace(
  partial: string,
  folder: string,
  run: string,
  system: FileSystem,
): Promise<void> {
  const isThere = await Deno.lstat(folder).then(() => true, () => false);
  if (!isThere) return await system.rename(partial, folder);
  const name = folder.slice(folder.lastIndexOf("/") + 1);
  const old = `${run}/${leftoverName("old", name)}`;
  await system.rename(folder, old);
  try {
    await system.rename(partial, folder);
  } catch (error) {
    await system.rename(old, folder);
    throw error;
  }
  await Deno.remove(old, { recursive: true }).catch(() => {});
}
