/**
 * Reads a data set's batches ahead of the GPU.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { FOLDERS, listIds } from "../../../src/train/data/layout.ts";
import {
  sampleNumbers,
  SampleOrder,
  type Shard,
  WHOLE,
} from "../../../src/train/data/order.ts";
import type { Stage } from "../../../src/train/data/sample_plan.ts";
import type {
  SampleOptions,
  TrainingSample,
} from "../../../src/train/data/training_sample.ts";
import type { CachePlace } from "./cache.ts";
import { FolderFiles } from "./folder.ts";
import {
  type Task,
  type TaskResult,
  taskRunner,
  type TaskSetup,
} from "./tasks.ts";
import { type WorkerKind, Workers } from "./workers.ts";

/** The Workers of a loader. */
const SAMPLE_WORKERS: WorkerKind<TaskSetup, Task, TaskResult> = {
  module: new URL("./sample_worker.ts", import.meta.url),
  here: taskRunner,
};

/** How batches are read. */
export interface LoaderOptions {
  /** What samples are like. */
  readonly samples: SampleOptions;
  /** The training's seed. */
  readonly seed: number;
  /** Samples of a batch, of this rank. */
  readonly batch: number;
  /** The part of each batch that this process takes; the whole by default. */
  readonly shard?: Shard;
  /** Workers; 0: everything in this thread. */
  readonly workers: number;
  /** Batches that are read ahead; 2 by default, none without Workers. */
  readonly ahead?: number;
  /** Where to look before an image is decoded. */
  readonly cache?: CachePlace;
  /** Told of each id that cannot be used, once. */
  readonly onBroken?: (id: string, reason: string) => void;
}

/**
 * Reads batches. The batch of a step depends on the seed and the data set alone,
 * not on Workers, on what is kept in a cache, or on the steps before.
 *
 * @example
 * ```ts
 * await using loader = await DataLoader.open("data", options);
 * const samples = await loader.batch(0);
 * ```
 */
export class DataLoader implements AsyncDisposable {
  /** The ids of the data set, in order. */
  readonly ids: readonly string[];
  /** Why ids cannot be used, of those that were tried. */
  readonly broken: ReadonlyMap<string, string>;
  readonly #broken: Map<string, string>;
  readonly #options: LoaderOptions;
  readonly #order: SampleOrder;
  readonly #workers: Workers<TaskSetup, Task, TaskResult>;
  readonly #batches = new Map<number, Promise<TrainingSample[]>>();
  #substituted = 0;
  #waited = 0;

  private constructor(
    root: string,
    ids: readonly string[],
    options: LoaderOptions,
  ) {
    this.ids = ids;
    this.broken = this.#broken = new Map();
    this.#options = options;
    this.#order = new SampleOrder(options.seed, ids.length);
    const { seed, cache, samples } = options;
    const setup = { root, seed, cache, options: samples };
    this.#workers = new Workers(SAMPLE_WORKERS, setup, options.workers);
  }

  /**
   * Opens a data set and starts its Workers.
   *
   * @param root its folder
   * @throws {MasterWeaverError} `bad-data` where a part of it is missing
   */
  static async open(
    root: string,
    options: LoaderOptions,
  ): Promise<DataLoader> {
    const ids = await openDataset(root, options.samples.stage);
    return new DataLoader(root, ids, options);
  }

  /** How many samples were made of another id, as their own cannot be used. */
  get substituted(): number {
    return this.#substituted;
  }

  /** Milliseconds that were waited for batches: near 0 where reading keeps up. */
  get waited(): number {
    return this.#waited;
  }

  /**
   * The samples of a step, and starts on the steps after.
   *
   * @param step from 0, counted in batches
   * @throws {MasterWeaverError} `bad-data` where no id can be used, `disposed`
   */
  async batch(step: number): Promise<TrainingSample[]> {
    const { workers, ahead = workers === 0 ? 0 : 2 } = this.#options;
    const start = performance.now();
    const wanted = this.#start(step);
    for (let next = step + 1; next <= step + ahead; next++) this.#start(next);
    for (const kept of this.#batches.keys()) {
      if (kept <= step || kept > step + ahead) this.#batches.delete(kept);
    }
    try {
      return await wanted;
    } finally {
      this.#waited += performance.now() - start;
    }
  }

  /** Ends the Workers. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#workers[Symbol.dispose]();
    this.#batches.clear();
    return Promise.resolve();
  }

  #start(step: number): Promise<TrainingSample[]> {
    const known = this.#batches.get(step);
    if (known) return known;
    const { batch, shard = WHOLE } = this.#options;
    const numbers = sampleNumbers(step, batch, shard);
    const samples = Promise.all(numbers.map((number) => this.#sample(number)));
    // A batch read ahead may never be asked for; whoever asks sees its error.
    samples.catch(() => {});
    this.#batches.set(step, samples);
    return samples;
  }

  /** Makes a sample, of the first id from its place on that can be used. */
  async #sample(sample: number): Promise<TrainingSample> {
    for (let places = 0; places < this.ids.length; places++) {
      const id = this.ids[this.#order.at(sample, places)];
      const result = await this.#workers.run({ id, sample });
      if ("sample" in result) {
        if (places > 0) this.#substituted++;
        return result.sample;
      }
      this.#tell(id, result.broken);
    }
    const [[, reason]] = this.#broken;
    throw new MasterWeaverError(
      "bad-data",
      `None of the ${this.ids.length} ids of the data set can be used; the first: ${reason}`,
    );
  }

  #tell(id: string, reason: string): void {
    if (this.#broken.has(id)) return;
    this.#broken.set(id, reason);
    this.#options.onBroken?.(id, reason);
  }
}

/** What each folder holds, for messages. */
const CONTENTS: Readonly<Record<keyof typeof FOLDERS, string>> = {
  images: "images, <id>.jpg",
  faces: "faces and landmarks, <id>/<face>.jpg and .npy",
  masks: "classes of faces, <id>/<face>.png",
  augmented: "other appearances, <id>/<face>/*, which stage 2 needs",
  captions: "captions, <id>.txt",
};

/** What a data set lacks: folders that are missing or have nothing in them. */
export async function missingParts(
  root: string,
  stage: Stage,
): Promise<string[]> {
  const files = new FolderFiles(root);
  const missing: string[] = [];
  for (const [part, folder] of Object.entries(FOLDERS)) {
    if (part === "augmented" && stage === 1) continue;
    const names = await files.list(folder);
    if (names?.some((name) => !name.startsWith("."))) continue;
    const state = names === undefined ? "is missing" : "is empty";
    missing.push(
      `${folder} ${state} (${CONTENTS[part as keyof typeof FOLDERS]})`,
    );
  }
  return missing;
}

/** Checks that a data set has all parts, and lists its ids. */
async function openDataset(root: string, stage: Stage): Promise<string[]> {
  const files = new FolderFiles(root);
  const fail = (what: string): never => {
    throw new MasterWeaverError("bad-data", `Data set ${root} ${what}`);
  };
  if (await files.list(".") === undefined) {
    fail("is not there: give its folder");
  }
  const missing = await missingParts(root, stage);
  if (missing.length > 0) fail(`lacks a part: ${missing.join("; ")}`);
  const ids = await listIds(files) ?? [];
  return ids.length > 0
    ? ids
    : fail(`has no image: expected ${FOLDERS.images}/<id>.jpg`);
}
