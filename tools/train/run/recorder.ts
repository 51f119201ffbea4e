/**
 * Everything that a training run shows of itself, in one place: metrics, a line
 * on the terminal, the report, TensorBoard's events.
 *
 * @module
 */
import { encodePng } from "../../../src/host/codecs/codec.ts";
import type { Image } from "../../../src/image/image.ts";
import type { MetricsRecord } from "../../../src/train/report/metrics.ts";
import type { RunStatus } from "../../../src/train/report/report.ts";
import { StepRate } from "../../../src/train/report/step_rate.ts";
import { reason } from "../../../src/host/reasons.ts";
import { MetricsFile } from "./metrics_file.ts";
import { ReportFile, type ReportTexts } from "./report_file.ts";
import type { RunFolder } from "./run_folder.ts";
import { EventFile } from "./tensorboard/event_file.ts";
import type { TrainLines } from "./train_lines.ts";

/** How a run is recorded. */
export interface RecorderOptions extends ReportTexts {
  /** The step that training goes on from; 0 for a new run. */
  readonly step: number;
  /** Shows steps to a person. */
  readonly lines?: TrainLines;
  /** Whether to write events for TensorBoard. */
  readonly tensorboard?: boolean;
}

/** Records a run. */
export class Recorder implements Disposable {
  readonly #run: RunFolder;
  readonly #metrics: MetricsFile;
  readonly #report: ReportFile;
  readonly #lines: TrainLines | undefined;
  readonly #events: EventFile | undefined;
  readonly #rate = new StepRate();

  private constructor(
    run: RunFolder,
    { lines }: RecorderOptions,
    metrics: MetricsFile,
    report: ReportFile,
    events: EventFile | undefined,
  ) {
    this.#run = run;
    this.#metrics = metrics;
    this.#report = report;
    this.#lines = lines;
    this.#events = events;
  }

  /**
   * Begins to record, or goes on after a step: what was recorded of later ones
   * is dropped.
   *
   * @throws {MasterWeaverError} `cannot-read`, `cannot-write`
   */
  static async open(
    run: RunFolder,
    options: RecorderOptions,
  ): Promise<Recorder> {
    const { step, tensorboard } = options;
    const warn = (line: string) => run.warn(line);
    using stack = new DisposableStack();
    const metrics = stack.use(await MetricsFile.open(run.path, step, warn));
    const report = new ReportFile(run, options, metrics.before, step);
    await report.showEarlierGrids();
    const events = tensorboard
      ? stack.use(await EventFile.open(run.path, step, warn))
      : undefined;
    const recorder = new Recorder(run, options, metrics, report, events);
    stack.move();
    return recorder;
  }

  /**
   * Records a step. `steps_per_second` is added where it is not given.
   *
   * @throws {MasterWeaverError} `bad-option` for what is not a record
   */
  record(given: MetricsRecord): void {
    const speed = this.#rate.tick(given.step);
    const record = "steps_per_second" in given
      ? given
      : { ...given, steps_per_second: speed || null };
    this.#metrics.append(record);
    this.#lines?.step(record);
    this.#report.add(record);
    const values = Object.entries(record).flatMap(([name, value]) =>
      name === "step" || value === null
        ? []
        : [[`train/${name}`, Number(value)] as const]
    );
    this.#events?.scalars(record.step, Object.fromEntries(values));
  }

  /** Shows a person what is being done between steps. */
  showWork(text: string): void {
    this.#lines?.showWork(text);
  }

  /**
   * Keeps a grid of images: as a file, in the report, for TensorBoard. Training
   * goes on where the file cannot be written.
   *
   * @param step steps that were done
   * @param captions what is said of the rows
   */
  async grid(
    step: number,
    image: Image,
    captions: readonly string[],
  ): Promise<void> {
    const png = encodePng(image, {});
    try {
      await this.#run.saveGrid(step, png);
    } catch (error) {
      this.#run.warn(
        `The grid of step ${step} was not saved: ${
          reason((error as Error).cause ?? error)
        }; training goes on`,
      );
    }
    const { width, height } = image;
    this.#events?.image(step, { tag: "grid", width, height, png });
    await this.#report.addGrid(step, image, captions);
  }

  /** Draws the last report. */
  async finish(status: RunStatus): Promise<void> {
    await this.#report.finish(status);
  }

  /** Closes the files. */
  [Symbol.dispose](): void {
    this.#metrics[Symbol.dispose]();
    this.#events?.[Symbol.dispose]();
  }
}
