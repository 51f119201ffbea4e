/**
 * Updates the manifest of a model folder: decides whether it has one, and what
 * that lists.
 *
 * @module
 */
import {
  type ComponentName,
  componentNames,
  networkComponents,
} from "../../src/weights/components.ts";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { FileSource } from "../../src/host/files.ts";
import {
  type Manifest,
  MANIFEST_NAME,
  type ManifestEntry,
  manifestText,
  readManifest,
} from "../../src/weights/manifest.ts";
import { openWeave } from "../../src/weights/weave.ts";
import { exists } from "./folder.ts";
import { Staging } from "./staging.ts";

/** Entries by component. */
export type Entries = ReadonlyMap<string, ManifestEntry>;

/** What a folder's manifest lists before anything is written. */
export interface Before {
  /** What its manifest lists, or would; undefined where it should have none. */
  readonly entries?: Entries;
  /** Its manifest, where there is one that can be read. */
  readonly manifest?: Manifest;
}

/**
 * What a folder's manifest lists before anything is written. A folder without
 * one, as older versions wrote, is taken as it is.
 *
 * @param folder the model folder; it may be missing
 * @param written components that will be replaced
 * @throws {MasterWeaverError} `bad-model` where its manifest cannot be read and some files stay
 */
export async function entriesBefore(
  folder: string,
  written: readonly string[],
): Promise<Before> {
  const path = `${folder}/${MANIFEST_NAME}`;
  if (await exists(path)) {
    try {
      await using source = await FileSource.open(path);
      const manifest = await readManifest(source);
      return { entries: manifest.components, manifest };
    } catch (error) {
      const isAll = !await staysAny(folder, written);
      if (!(error instanceof MasterWeaverError) || !isAll) throw error;
    }
  }
  // A folder with detectors alone, as weights/ may be, is not a model folder.
  const isModel = networkComponents.some((name) => written.includes(name));
  return isModel ? { entries: await entriesIn(folder) } : {};
}

/** Whether a folder has a network's file that is not replaced. */
async function staysAny(
  folder: string,
  written: readonly string[],
): Promise<boolean> {
  for (const name of networkComponents) {
    if (written.includes(name)) continue;
    if (await exists(`${folder}/${name}.weave`)) return true;
  }
  return false;
}

/**
 * Entries of the files that a folder has under their components' names.
 *
 * @param folder the folder; it may be missing
 */
export async function entriesIn(folder: string): Promise<Entries> {
  const entries = new Map<string, ManifestEntry>();
  for (const name of componentNames) {
    const entry = await entryOf(folder, name);
    if (entry) entries.set(name, entry);
  }
  return entries;
}

async function entryOf(
  folder: string,
  name: ComponentName,
): Promise<ManifestEntry | undefined> {
  const file = `${name}.weave`;
  if (!await exists(`${folder}/${file}`)) return;
  try {
    await using source = await FileSource.open(`${folder}/${file}`);
    const { hash } = await openWeave(source);
    return { file, hash, bytes: source.size };
  } catch (error) {
    // A damaged file is not listed; loading says what is wrong with it.
    if (error instanceof MasterWeaverError) return;
    throw error;
  }
}

/**
 * The manifest's text once components have been replaced.
 *
 * @param before what it listed; undefined where there should be none
 * @param written entries of what was written
 */
export function manifestAfter(
  before: Entries | undefined,
  written: Entries,
): Uint8Array | undefined {
  if (before === undefined || written.size === 0) return;
  return new TextEncoder().encode(
    manifestText(new Map([...before, ...written])),
  );
}

/**
 * Writes the manifest of a folder as it is: one that an older version wrote, or
 * that was put together on purpose.
 *
 * @param folder the model folder
 * @returns the manifest's path and how many files it lists
 * @throws {MasterWeaverError} `bad-model` where the folder holds no component of a model; `cannot-write`
 */
export async function writeManifest(
  folder: string,
): Promise<{ manifest: string; files: number }> {
  const manifest = `${folder}/${MANIFEST_NAME}`;
  const entries = await entriesIn(folder);
  const isModel = networkComponents.some((name) => entries.has(name));
  if (!isModel) {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot write ${manifest}: ${folder} holds no ${
        networkComponents.join(", ")
      }.weave that can be opened; give the folder of a converted model`,
    );
  }
  await using staging = new Staging();
  const text = new TextEncoder().encode(manifestText(entries));
  await staging.write(manifest, (append) => append(text));
  await staging.commit();
  return { manifest, files: entries.size };
}
