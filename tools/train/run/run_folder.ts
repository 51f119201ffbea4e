/**
 * The folder of a training run: its settings, checkpoints and grids, and the
 * lock that keeps it to one trainer.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { readShortFile, writeFileAtomic } from "../../../src/host/files.ts";
import { asCannotWrite } from "../../../src/host/write.ts";
import { cannotWrite, reason } from "../../../src/host/reasons.ts";
import { denoFileSystem, type FileSystem } from "../../../src/host/system.ts";
import { brief } from "../../../src/weights/brief.ts";
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
import { isHarmless, removeWhole, tidy } from "./leftovers.ts";
import { LOCK_NAME, lockRun } from "./lock.ts";
import {
  checkFixed,
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

/** The file of a run's settings. */
export const SETTINGS_NAME = "settings.json";
/** The folder of grids in a run's folder. */
export const GRIDS_FOLDER = "grids";
/** The most bytes of it. */
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
      for (const change of run.changes) {
        run.warn(`The run in ${path} goes on with another setting: ${change}`);
      }
      await run.#writeSettings(before);
      await tidy(path);
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
        return { checkpoint: await this.load(step), broken };
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
   * Saves a checkpoint, then removes older ones that need not be kept.
   *
   * @returns its folder
   * @throws {MasterWeaverError} `cannot-write`; then nothing is left of it and nothing was removed
   */
  async save(content: CheckpointContent): Promise<string> {
    const { system } = this.#options;
    const folder = await writeCheckpoint(
      this.path,
      content,
      this.settingsHash,
      system,
    );
    await this.#removeOlder(content);
    return folder;
  }

  /**
   * As {@linkcode save}, for training that goes on where there is no room.
   *
   * @returns its folder; undefined where it could not be written, which the user is told
   */
  async trySave(content: CheckpointContent): Promise<string | undefined> {
    try {
      return await this.save(content);
    } catch (error) {
      const isRefused = error instanceof MasterWeaverError &&
        error.code === "cannot-write";
      if (!isRefused) throw error;
      const last = (await this.#steps()).at(-1);
      this.warn(
        `The checkpoint of step ${content.step} was not saved: ${
          reason(error.cause ?? error)
        }; training goes on, ${
          last === undefined
            ? "there is no earlier one"
            : `that of step ${last} is kept`
        }`,
      );
      return;
    }
  }

  /**
   * Writes the trained weights as `…_final`, at the end of the run.
   *
   * @throws {MasterWeaverError} `cannot-write`
   */
  async saveFinal(weights: readonly WeightsFile[]): Promise<string[]> {
    const paths: string[] = [];
    for (const file of weights) {
      const path = `${this.path}/${weightsName(file, "final")}`;
      await writeFileAtomic(path, file.write, this.#options.system);
      paths.push(path);
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
    await asCannotWrite(folder, () => Deno.mkdir(folder, { recursive: true }));
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

  /** Tells the user something, and keeps it for the report. */
  warn(line: string): void {
    this.warnings.push(line);
    this.#options.warn?.(line);
  }

  /** Lets other trainers have the folder. */
  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }

  async #writeSettings(before: StoredSettings | undefined): Promise<void> {
    if (before && this.changes.length === 0) return;
    const now = new Date().toISOString();
    const { created = now, resumed = [] } = before ?? {};
    const changed = { time: now, changes: this.changes };
    const text = settingsText({
      settings: this.settings,
      created,
      resumed: before ? [...resumed, changed] : [],
    });
    await writeFileAtomic(
      `${this.path}/${SETTINGS_NAME}`,
      (append) => append(new TextEncoder().encode(text)),
      this.#options.system ?? denoFileSystem,
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

  /** Removes what is neither among the last nor one that is kept for good. */
  async #removeOlder({ step }: CheckpointContent): Promise<void> {
    const { keepLast = 3, keepEvery = 0 } = this.#options;
    const steps = (await this.#steps()).filter((other) => other <= step);
    const old = steps.slice(0, -Math.max(1, keepLast))
      .filter((other) => keepEvery === 0 || other % keepEvery !== 0);
    for (const other of old) {
      try {
        await this.#remove(other);
      } catch (error) {
        this.warn(
          `The checkpoint of step ${other} could not be removed: ${
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
      for (const file of await this.#weightsOf(step)) {
        await Deno.remove(`${this.path}/${file}`);
      }
    } catch (error) {
      throw cannotWrite(`${this.path}/${name}`, error, "remove it by hand");
    }
  }

  async #weightsOf(step: number): Promise<string[]> {
    const pattern = new RegExp(
      `^[a-z]+(_[a-z]+)*_${paddedStep(step)}\\.(pt|weave|safetensors)$`,
    );
    const entries = await Array.fromAsync(Deno.readDir(this.path));
    return entries.filter(({ name, isFile }) => isFile && pattern.test(name))
      .map(({ name }) => name);
  }
}

/**
 * Whether a folder holds a run.
 *
 * @throws {MasterWeaverError} `bad-option` where it holds anything else, or not what was asked for
 */
async function checkFolder(
  path: string,
  resume: boolean | undefined,
): Promise<boolean> {
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(path));
  } catch (error) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot use ${path} as the folder of a run: ${reason(error)}`,
      { cause: error },
    );
  }
  const refuse = (what: string): never => {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot train in ${path}: ${what}`,
    );
  };
  if (entries.some(({ name }) => name === SETTINGS_NAME)) {
    if (resume === false) {
      refuse("it holds a run already; resume that one, or give another folder");
    }
    return true;
  }
  const others = entries.map(({ name }) => name).filter((name) =>
    name !== LOCK_NAME && !isHarmless(name)
  ).toSorted();
  if (others.length > 0) {
    const more = others.length > 1 ? ` and ${others.length - 1} more` : "";
    refuse(
      `it holds ${
        brief(others[0])
      }${more} and no ${SETTINGS_NAME} of a run; give a new or empty folder`,
    );
  }
  if (resume === true) {
    refuse("it holds no run to resume; give the folder of one");
  }
  return false;
}

async function readSettings(path: string): Promise<StoredSettings> {
  const name = `${path}/${SETTINGS_NAME}`;
  return parseSettings(await readShortFile(name, MAX_SETTINGS_BYTES), name);
}
