/**
 * `report.html`, drawn again as training goes on.
 *
 * @module
 */
import { encodePng } from "../../../src/host/codecs/codec.ts";
import { readImage, writeFileAtomic } from "../../../src/host/files.ts";
import { reason } from "../../../src/host/reasons.ts";
import type { Image } from "../../../src/image/image.ts";
import { resizeImage } from "../../../src/image/resize.ts";
import type { MetricsRecord } from "../../../src/train/report/metrics.ts";
import {
  drawReport,
  type ReportGrid,
  type RunStatus,
} from "../../../src/train/report/report.ts";
import { GRIDS_FOLDER, type RunFolder } from "./run_folder.ts";

/** The report's name in a run's folder. */
export const REPORT_NAME = "report.html";
/** Grids that a report shows. */
const GRIDS = 3;
/** Pixels of a grid's width in a report, at most; the files in `grids/` have all. */
const GRID_WIDTH = 1200;
/** Milliseconds between two drawings, at least. */
const INTERVAL = 10_000;
/** Drawing takes at most 1 / SHARE of the time. */
const SHARE = 50;

/** What a report says beside what is recorded. */
export interface ReportTexts {
  /** Its heading. */
  readonly title: string;
  /** Steps to do. */
  readonly total: number;
  /** What computes it, by name. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Draws a run's report. */
export class ReportFile {
  /** Where it is. */
  readonly path: string;
  readonly #run: RunFolder;
  readonly #texts: ReportTexts;
  readonly #records: MetricsRecord[];
  readonly #grids: ReportGrid[] = [];
  #step: number;
  /** When it may be drawn again. */
  #next = 0;
  #drawing: Promise<void> | undefined;
  #isWarned = false;

  /**
   * Makes the report of a run.
   *
   * @param before what was recorded before
   * @param step the step that training goes on from
   */
  constructor(
    run: RunFolder,
    texts: ReportTexts,
    before: readonly MetricsRecord[],
    step: number,
  ) {
    this.path = `${run.path}/${REPORT_NAME}`;
    this.#run = run;
    this.#texts = texts;
    this.#records = [...before];
    this.#step = step;
  }

  /** Shows the last grids of before, as far as their files can be read. */
  async showEarlierGrids(): Promise<void> {
    const folder = `${this.#run.path}/${GRIDS_FOLDER}`;
    const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
    const steps = entries
      .flatMap(({ name }) => /^grid-(\d{6,})\.png$/.exec(name)?.[1] ?? [])
      .filter((digits) => Number(digits) <= this.#step)
      .toSorted((a, b) => Number(a) - Number(b));
    for (const digits of steps.slice(-GRIDS)) {
      try {
        const image = await readImage(`${folder}/grid-${digits}.png`);
        await this.addGrid(Number(digits), image, []);
      } catch {
        // A grid that is no longer there is no reason not to train.
      }
    }
  }

  /** Takes a recorded step; draws the report if the last one is old enough. */
  add(record: MetricsRecord): void {
    this.#records.push(record);
    this.#step = Math.max(this.#step, record.step);
    if (this.#drawing || performance.now() < this.#next) return;
    this.#drawing = this.#draw("running").finally(() => {
      this.#drawing = undefined;
    });
  }

  /** Takes a grid of images. */
  async addGrid(
    step: number,
    image: Image,
    captions: readonly string[],
  ): Promise<void> {
    const width = Math.min(image.width, GRID_WIDTH);
    const height = Math.max(1, Math.round(image.height * width / image.width));
    const small = await resizeImage(image, width, height, "bilinear");
    this.#grids.unshift({ step, png: encodePng(small, {}), captions });
    this.#grids.splice(GRIDS);
  }

  /** Draws the last report. */
  async finish(status: RunStatus): Promise<void> {
    await this.#drawing;
    await this.#draw(status);
  }

  async #draw(status: RunStatus): Promise<void> {
    const started = performance.now();
    try {
      const html = new TextEncoder().encode(this.#html(status));
      await writeFileAtomic(this.path, (append) => append(html));
    } catch (error) {
      this.#warnOnce(error);
    }
    const now = performance.now();
    this.#next = now + Math.max(INTERVAL, SHARE * (now - started));
  }

  #html(status: RunStatus): string {
    const { settings, warnings } = this.#run;
    const speed = this.#records.at(-1)?.steps_per_second;
    return drawReport({
      ...this.#texts,
      status,
      step: this.#step,
      stepsPerSecond: typeof speed === "number" ? speed : 0,
      updated: new Date(),
      records: this.#records,
      grids: this.#grids,
      settings: Object.fromEntries([
        ["model", `${settings.model.path} (${settings.model.hash})`],
        ["data", settings.data],
        ...Object.entries(settings.options).map((
          [name, value],
        ) => [name, Array.isArray(value) ? value.join(", ") : String(value)]),
      ]),
      environment: { ...settings.versions, ...this.#texts.environment },
      warnings,
    });
  }

  #warnOnce(error: unknown): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    this.#run.warn(
      `The report ${this.path} cannot be written: ${
        reason((error as Error).cause ?? error)
      }; training goes on`,
    );
  }
}
