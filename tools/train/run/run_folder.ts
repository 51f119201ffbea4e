/**
 * The folder of a training run: its settings, checkpoints and grids, and the
 * lock that keeps it to one trainer.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { readShortFile, writeFileAtomic } from "../../../src/host/files.ts";
import { asCannotWrite } from "../../../src/host/write.ts";
import { cannotWrite, reason, systemName } from "../../../src/host/reasons.ts";
import { type FileSystem, hostFileSystem } from "../../../src/host/system.ts";
import { checkFolder, SETTINGS_NAME } from "./check_folder.ts";
import {
  checkpointName,
  isUnusable,
  loadCheckpoint,
  paddedStep,
  stepOf,
  type TrainCheckpoint,
} from "./checkpoint.ts";
import {
  type CheckpointContent,
  type WeightsFile,
  weightsName,
  writeCheckpoint,
} from "./checkpoint_writer.ts";
import { removeStale, restoreOld } from "../../convert/neighbours.ts";
import { Staging } from "../../convert/staging.ts";
import { makeFolder } from "../make_folder.ts";
import { removeWhole, tidy } from "./leftovers.ts";
import { lockRun } from "./lock.ts";
import {
  checkFixed,
  datasetChange,
  describeChange,
  FIXED_OPTIONS,
  fixedHash,
  parseSettings,
  type RunSettings,
  settingChanges,
  settingsText,
  type StoredSettings,
} from "./settings.ts";

/** What is peculiar to a run's folder. */
export interface RunOptions {
  /** True: there must be a run to go on with; false: there must be none; either where not given. */
  readonly resume?: boolean;
  /** Names of options that must not differ on resuming ({@linkcode FIXED_OPTIONS}). */
  readonly fixed?: readonly string[];
  /** How many of the newest checkpoints are kept (3). */
  readonly keepLast?: number;
  /** Checkpoints of steps divisible by this are kept too; 0: none beside the newest (0). */
  readonly keepEvery?: number;
  /** Steps to do: a run that has done them is left as it is. */
  readonly total?: number;
  /** Takes a line that the user should see, such as a setting that differs. */
  readonly warn?: (line: string) => void;
  /** The file system. */
  readonly system?: FileSystem;
}

/** What was found when the newest checkpoint was looked for. */
export interface Latest {
  /** The newest that is whole; undefined where there is none. */
  readonly checkpoint: TrainCheckpoint | undefined;
  /** Newer ones that are not, and why. */
  readonly broken: readonly string[];
}

/** The folder of grids in a run's folder. */
export const GRIDS_FOLDER = "grids";
/** The most bytes of a run's settings. */
export const MAX_SETTINGS_BYTES = 4 * 2 ** 20;

/** A run's folder, held until it is disposed. */
export class RunFolder implements Disposable {
  /** Where it is. */
  readonly path: string;
  /** What the run is started or goes on with. */
  readonly settings: RunSettings;
  /** Whether there was a run before. */
  readonly isResumed: boolean;
  /** What differs from before, one line a setting. */
  readonly changes: readonly string[];
  /** Hash of all that must not differ within the run. */
  readonly settingsHash: string;
  /** What the user was warned of, oldest first. */
  readonly warnings: string[] = [];
  readonly #options: RunOptions;
  readonly #lock: Disposable;
  /** The step of the checkpoint that was last saved or loaded. */
  #whole: number | undefined;

  private constructor(
    path: string,
    settings: RunSettings,
    before: StoredSettings | undefined,
    options: RunOptions,
    lock: Disposable,
  ) {
    const fixed = options.fixed ?? FIXED_OPTIONS;
    const changes = before ? settingChanges(before.settings, settings) : [];
    checkFixed(path, changes, fixed);
    this.path = path;
    this.settings = settings;
    this.isResumed = before !== undefined;
    this.changes = changes.map(describeChange);
    this.settingsHash = fixedHash(settings, fixed);
    this.#options = options;
    this.#lock = lock;
  }

  /**
   * Opens a new folder, an empty one, or that of a run to go on with; writes
   * `settings.json`, and removes what a killed trainer left.
   *
   * @throws {MasterWeaverError} `bad-option` where the folder holds something else, or a run of other settings; `busy` where a trainer is at work in it; `cannot-read`, `cannot-write`
   */
  static async open(
    path: string,
    settings: RunSettings,
    options: RunOptions = {},
  ): Promise<RunFolder> {
    const { resume } = options;
    if (resume !== true) {
      await asCannotWrite(path, () => Deno.mkdir(path, { recursive: true }));
    }
    await checkFolder(path, resume);
    const lock = await lockRun(path);
    try {
      // Again: another trainer may have begun, and ended, just before.
      const isRun = await checkFolder(path, resume);
      const before = isRun ? await readSettings(path) : undefined;
      const run = new RunFolder(path, settings, before, options, lock);
      if (!await run.#isDone()) await run.#goOn(before);
      await tidy(path);
      await restoreOld(path);
      await removeStale(path);
      await tidy(`${path}/${GRIDS_FOLDER}`).catch(() => {});
      return run;
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Loads the newest checkpoint that is whole; newer ones that are not are left
   * where they are, and named.
   */
  async latest(): Promise<Latest> {
    const broken: string[] = [];
    for (const step of (await this.#steps()).toReversed()) {
      try {
        const checkpoint = await this.load(step);
        this.#whole = step;
        return { checkpoint, broken };
      } catch (error) {
        if (!isUnusable(error)) throw error;
        broken.push(error.message);
      }
    }
    return { checkpoint: undefined, broken };
  }

  /**
   * Loads the checkpoint of a step.
   *
   * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
   */
  async load(step: number): Promise<TrainCheckpoint> {
    return await loadCheckpoint(
      `${this.path}/${checkpointName(step)}`,
      this.settingsHash,
    );
  }

  /**
   * Saves a checkpoint, then removes older ones that need not be kept. Where there
   * is no room, those are removed first, and it is tried again.
   *
   * @returns its folder
   * @throws {MasterWeaverError} `cannot-write`; then nothing is left of it, and the newest whole one is kept
   */
  async save(content: CheckpointContent): Promise<string> {
    const { step } = content;
    const folder = await this.#withRoom(step, () =>
      writeCheckpoint(
        this.path,
        content,
        this.settingsHash,
        this.#options.system,
      ));
    this.#whole = step;
    await this.#removeAll(await this.#unwanted(step));
    return folder;
  }

  /**
   * As {@linkcode save}, for training that goes on where there is no room.
   *
   * @param isLast whether nothing is trained after it
   * @returns its folder; undefined where it could not be written, which the user is told
   * @throws {MasterWeaverError} `cannot-write` where the run's folder is gone
   */
  async trySave(
    content: CheckpointContent,
    isLast = false,
  ): Promise<string | undefined> {
    try {
      return await this.save(content);
    } catch (error) {
      this.warn(await this.#notSaved(content, error, !isLast));
      return;
    }
  }

  /**
   * As {@linkcode save}, for training that was stopped: why it was not saved is
   * kept for the report, and it is for the caller to say.
   *
   * @returns its folder, or why it could not be written
   * @throws {MasterWeaverError} `cannot-write` where the run's folder is gone
   */
  async saveStopped(
    content: CheckpointContent,
  ): Promise<{ readonly folder: string } | { readonly failure: string }> {
    try {
      return { folder: await this.save(content) };
    } catch (error) {
      const failure = await this.#notSaved(content, error, false);
      this.warnings.push(failure);
      return { failure };
    }
  }

  /** Says why a checkpoint was not saved; throws what is no matter of writing it. */
  async #notSaved(
    { step }: CheckpointContent,
    error: unknown,
    goesOn: boolean,
  ): Promise<string> {
    if (!isCannotWrite(error)) throw error;
    await this.#checkThere();
    const last = (await this.#steps()).at(-1);
    return `The checkpoint of step ${step} was not saved: ${
      reason(error.cause ?? error)
    }; ${goesOn ? "training goes on, " : ""}${
      last === undefined
        ? "there is no earlier one"
        : `that of step ${last} is kept`
    }`;
  }

  /**
   * Writes the trained weights as `…_final`, at the end of the run: all files or
   * none, so that they are of one step.
   *
   * @throws {MasterWeaverError} `cannot-write`; it says where the last checkpoint's weights are
   */
  async saveFinal(weights: readonly WeightsFile[]): Promise<string[]> {
    const paths = weights.map((file) =>
      `${this.path}/${weightsName(file, "final")}`
    );
    const write = async () => {
      await using staging = new Staging();
      for (const [i, file] of weights.entries()) {
        await staging.write(paths[i], file.write);
      }
      await staging.commit();
    };
    try {
      await this.#withRoom(Infinity, write);
    } catch (error) {
      if (!isCannotWrite(error)) throw error;
      await this.#checkThere();
      const step = this.#whole;
      const kept = step === undefined ? [] : await this.weightsOf(step);
      if (kept.length === 0) throw error;
      const files = kept.map((name) => `${this.path}/${name}`).join(", ");
      throw new MasterWeaverError(
        "cannot-write",
        `${error.message}; the trained weights of step ${step} are in ${files}`,
        { cause: error.cause },
      );
    }
    return paths;
  }

  /**
   * Writes a grid of images, as `grids/grid-002000.png`.
   *
   * @throws {MasterWeaverError} `cannot-write`
   */
  async saveGrid(step: number, png: Uint8Array): Promise<string> {
    const folder = `${this.path}/${GRIDS_FOLDER}`;
    // Not with the folders above it: a run that was moved away is not begun anew.
    await asCannotWrite(folder, () => makeFolder(folder));
    const path = `${folder}/grid-${paddedStep(step)}.png`;
    await writeFileAtomic(
      path,
      (append) => append(png),
      this.#options.system,
    );
    return path;
  }

  /**
   * Removes the checkpoints of later steps and their weights, for a run that
   * goes on from an earlier one.
   *
   * @throws {MasterWeaverError} `cannot-write`
   */
  async rewind(step: number): Promise<void> {
    for (const later of await this.#steps()) {
      if (later > step) await this.#remove(later);
    }
  }

  /** Names of the files of trained weights that were saved with a checkpoint. */
  async weightsOf(step: number): Promise<string[]> {
    const pattern = new RegExp(
      `^[a-z_]+_${paddedStep(step)}\\.(pt|weave|safetensors)$`,
    );
    const entries = await Array.fromAsync(Deno.readDir(this.path));
    return entries.filter(({ name, isFile }) => isFile && pattern.test(name))
      .map(({ name }) => name).toSorted();
  }

  /** Tells the user something, and keeps it for the report. */
  warn(line: string): void {
    this.warnings.push(line);
    this.#options.warn?.(line);
  }

  /** Lets other trainers have the folder. */
  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }

  /** Whether there is nothing to go on with. */
  async #isDone(): Promise<boolean> {
    const { total = Infinity } = this.#options;
    const last = (await this.#steps()).at(-1) ?? -1;
    return this.isResumed && last >= total;
  }

  /** Says what differs from before, and keeps it. */
  async #goOn(before: StoredSettings | undefined): Promise<void> {
    for (const change of this.changes) {
      this.warn(
        `The run in ${this.path} goes on with another setting: ${change}`,
      );
    }
    const other = before && datasetChange(before.settings, this.settings);
    if (other !== undefined) this.warn(other);
    await this.#writeSettings(before, other);
  }

  /**
   * Writes the settings, where they are new.
   *
   * @param other in which way the data set is another
   */
  async #writeSettings(
    before: StoredSettings | undefined,
    other: string | undefined,
  ): Promise<void> {
    const changes = [...this.changes, ...other === undefined ? [] : [other]];
    const isKnown = this.settings.dataset === undefined ||
      before?.settings.dataset !== undefined;
    if (before && isKnown && changes.length === 0) return;
    const now = new Date().toISOString();
    const { created = now, resumed = [] } = before ?? {};
    const changed = changes.length > 0 ? [{ time: now, changes }] : [];
    // What the data set was when the run began: later runs are compared with that.
    const dataset = before?.settings.dataset ?? this.settings.dataset;
    const text = settingsText({
      settings: { ...this.settings, ...dataset ? { dataset } : {} },
      created,
      resumed: before ? [...resumed, ...changed] : [],
    });
    await writeFileAtomic(
      `${this.path}/${SETTINGS_NAME}`,
      (append) => append(new TextEncoder().encode(text)),
      this.#options.system ?? hostFileSystem,
    );
  }

  /** Steps of all checkpoints, whole or not, oldest first. */
  async #steps(): Promise<number[]> {
    const entries = await Array.fromAsync(Deno.readDir(this.path));
    return entries
      .filter(({ isDirectory }) => isDirectory)
      .flatMap(({ name }) => stepOf(name) ?? [])
      .toSorted((a, b) => a - b);
  }

  /** Steps that need not be kept once one is saved: neither among the last nor kept for good. */
  async #unwanted(saved: number): Promise<number[]> {
    const { keepLast = 3, keepEvery = 0 } = this.#options;
    const before = (await this.#steps()).filter((step) => step < saved);
    const steps = Number.isFinite(saved) ? [...before, saved] : before;
    return steps.slice(0, -Math.max(1, keepLast))
      .filter((step) => keepEvery === 0 || step % keepEvery !== 0);
  }

  /** Writes something; where the disk is full, makes room and tries once more. */
  async #withRoom<T>(step: number, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      const name = isCannotWrite(error) ? systemName(error.cause) : undefined;
      if (name !== "ENOSPC" && name !== "EDQUOT") throw error;
      const unwanted = (await this.#unwanted(step).catch(() => []))
        .filter((other) => this.#whole !== undefined && other < this.#whole);
      if (unwanted.length === 0) throw error;
      await this.#removeAll(unwanted);
    }
    return await write();
  }

  /** Nothing more can be kept once the run's folder is gone. */
  async #checkThere(): Promise<void> {
    const isThere = await Deno.stat(this.path).then(() => true, () => false);
    if (isThere) return;
    throw new MasterWeaverError(
      "cannot-write",
      `Cannot write ${this.path}: the folder of the run is gone, it was moved or removed; put it back, then run the same command to go on`,
    );
  }

  async #removeAll(steps: readonly number[]): Promise<void> {
    for (const step of steps) {
      try {
        await this.#remove(step);
      } catch (error) {
        this.warn(
          `The checkpoint of step ${step} could not be removed: ${
            reason((error as Error).cause ?? error)
          }`,
        );
      }
    }
  }

  /** Removes a checkpoint and the weights beside it. */
  async #remove(step: number): Promise<void> {
    const name = checkpointName(step);
    try {
      await removeWhole(this.path, name);
      for (const file of await this.weightsOf(step)) {
        await Deno.remove(`${this.path}/${file}`);
      }
    } catch (error) {
      throw cannotWrite(`${this.path}/${name}`, error, "remove it by hand");
    }
  }
}

function isCannotWrite(error: unknown): error is MasterWeaverError {
  return error instanceof MasterWeaverError && error.code === "cannot-write";
}

async function readSettings(path: string): Promise<StoredSettings> {
  const name = `${path}/${SETTINGS_NAME}`;
  return parseSettings(await readShortFile(name, MAX_SETTINGS_BYTES), name);
}
