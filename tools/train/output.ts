/**
 * What a run writes and shows: by the first rank alone, if there are several.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Image } from "../../src/image/image.ts";
import type { MetricsRecord } from "../../src/train/report/metrics.ts";
import type { RunStatus } from "../../src/train/report/report.ts";
import type { TrainCheckpoint } from "./run/checkpoint.ts";
import type {
  CheckpointContent,
  WeightsFile,
} from "./run/checkpoint_writer.ts";
import { Recorder, type RecorderOptions } from "./run/recorder.ts";
import { RunFolder, type RunOptions } from "./run/run_folder.ts";
import type { RunSettings } from "./run/settings.ts";

/** Where a run goes. */
export interface RunOutput extends Disposable {
  /** The newest whole checkpoint, to go on from. */
  readonly checkpoint: TrainCheckpoint | undefined;
  /** The folder of the newest checkpoint that was saved or loaded. */
  readonly lastCheckpoint: string | undefined;
  /** Begins to record, after what was restored. */
  begin(options: RecorderOptions): Promise<void>;
  /** Records an update. */
  record(record: MetricsRecord): void;
  /** Shows what is being done between updates, until the next is shown. */
  showWork(text: string): void;
  /** Tells the user something, and keeps it for the report. */
  warn(line: string): void;
  /**
   * Saves a checkpoint; training goes on where there is no room.
   *
   * @param isLast whether nothing is trained after it
   * @returns whether it need not be tried again
   */
  save(
    content: () => Promise<CheckpointContent>,
    isLast: boolean,
  ): Promise<boolean>;
  /**
   * Saves a checkpoint of training that was stopped.
   *
   * @returns why it was not saved; undefined where it was
   */
  saveStopped(
    content: () => Promise<CheckpointContent>,
  ): Promise<string | undefined>;
  /** Keeps a grid of images. */
  grid(
    step: number,
    draw: () => Promise<{
      readonly image: Image;
      readonly captions: readonly string[];
    }>,
  ): Promise<void>;
  /** Writes the trained weights. */
  saveFinal(files: () => Promise<WeightsFile[]>): Promise<readonly string[]>;
  /** Files of the trained weights of a step that was saved. */
  savedWeights(step: number): Promise<readonly string[]>;
  /** Draws the last report. */
  finish(status: RunStatus): Promise<void>;
}

/**
 * Opens a run's folder, new or to go on with.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where there are checkpoints and none can be used, `bad-option`, `busy`, `cannot-read`, `cannot-write`
 */
export async function openOutput(
  path: string,
  settings: RunSettings,
  options: RunOptions,
): Promise<RunOutput> {
  using stack = new DisposableStack();
  const folder = stack.use(await RunFolder.open(path, settings, options));
  const { checkpoint, broken } = await folder.latest();
  if (!checkpoint && broken.length > 0) throw noneUsable(path, broken);
  for (const why of broken) folder.warn(why);
  let last = checkpoint?.folder;
  let recorder: Recorder | null = null;
  const owned = stack.move();
  return {
    checkpoint,
    get lastCheckpoint() {
      return last;
    },
    async begin(options) {
      recorder = owned.use(await Recorder.open(folder, options));
    },
    record: (record) => recorder?.record(record),
    showWork: (text) => recorder?.showWork(text),
    warn: (line) => folder.warn(line),
    async save(content, isLast) {
      const saved = await folder.trySave(await content(), isLast);
      last = saved ?? last;
      return saved !== undefined;
    },
    async saveStopped(content) {
      const saved = await folder.saveStopped(await content());
      if ("failure" in saved) return saved.failure;
      last = saved.folder;
    },
    async grid(step, draw) {
      const { image, captions } = await draw();
      await recorder?.grid(step, image, captions);
    },
    saveFinal: async (files) => await folder.saveFinal(await files()),
    async savedWeights(step) {
      const names = await folder.weightsOf(step);
      return names.map((name) => `${path}/${name}`);
    },
    async finish(status) {
      await recorder?.finish(status);
    },
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
}

/** Beginning again would overwrite what may still be of use. */
function noneUsable(
  path: string,
  broken: readonly string[],
): MasterWeaverError {
  return new MasterWeaverError(
    "bad-checkpoint",
    `Cannot go on in ${path}, as none of its checkpoints can be used: ${
      broken.join("; ")
    }; give another --out, or remove the checkpoints that are named to begin again at step 0`,
  );
}

/** The output of the other ranks: none. */
export const noOutput: RunOutput = {
  checkpoint: undefined,
  lastCheckpoint: undefined,
  begin: () => Promise.resolve(),
  record: () => {},
  showWork: () => {},
  warn: () => {},
  save: () => Promise.resolve(true),
  saveStopped: () => Promise.resolve(undefined),
  grid: () => Promise.resolve(),
  saveFinal: () => Promise.resolve([]),
  savedWeights: () => Promise.resolve([]),
  finish: () => Promise.resolve(),
  [Symbol.dispose]: () => {},
};
