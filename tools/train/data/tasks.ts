/**
 * What a loader asks of its Workers, and how a task is done in either thread.
 *
 * @module
 */
import { fileFault } from "../../../src/train/data/id_files.ts";
import { RandomStream } from "../../../src/train/data/random.ts";
import { readSample } from "../../../src/train/data/sample.ts";
import type {
  SampleOptions,
  TrainingSample,
} from "../../../src/train/data/training_sample.ts";
import { type CachePlace, CacheReader } from "./cache.ts";
import { sampleReader } from "./decode.ts";
import { FolderFiles } from "./folder.ts";
import type { Run } from "./workers.ts";

/** What all tasks have in common. */
export interface TaskSetup {
  /** The data set's folder. */
  readonly root: string;
  /** What samples are like. */
  readonly options: SampleOptions;
  /** The training's seed. */
  readonly seed: number;
  /** Where to look before an image is decoded. */
  readonly cache?: CachePlace;
}

/** A sample to make. */
export interface Task {
  /** The id to make it of. */
  readonly id: string;
  /** The sample's number, which with the seed decides what is drawn. */
  readonly sample: number;
}

/** A sample, or why its id cannot be used. */
export type TaskResult =
  | { readonly sample: TrainingSample }
  | { readonly broken: string };

/** Makes what does tasks in this thread. */
export function taskRunner(setup: TaskSetup): Run<Task, TaskResult> {
  const { root, options, seed } = setup;
  const cache = setup.cache && new CacheReader(setup.cache);
  const reader = sampleReader(
    new FolderFiles(root),
    cache && ((kind, key) => cache.get(kind, key)),
  );
  return async ({ id, sample }) => {
    const stream = new RandomStream(seed, "sample", sample);
    try {
      return { sample: await readSample(reader, id, stream, options) };
    } catch (error) {
      return { broken: fileFault(error) };
    }
  };
}

/** The buffers of a sample, to hand over without copying. */
export function buffersOf(result: TaskResult): ArrayBuffer[] {
  if (!("sample" in result)) return [];
  const { image, references, faceBox } = result.sample;
  const arrays = [image, ...references]
    .flatMap((input) => [input?.pixels, input?.cached]);
  return [faceBox, ...arrays]
    .filter((array) => array !== undefined)
    .map(({ buffer }) => buffer);
}
