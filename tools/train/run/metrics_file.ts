/**
 * `metrics.jsonl`: a line a recorded step, as if the run had never been
 * interrupted.
 *
 * @module
 */
import {
  checkRecord,
  metricsLine,
  type MetricsRecord,
  parseMetricsLine,
} from "../../../src/train/report/metrics.ts";
import { asCannotWrite } from "../../../src/host/write.ts";
import { readFile } from "../../../src/host/files.ts";
import { reason } from "../../../src/host/reasons.ts";

/** The file's name in a run's folder. */
export const METRICS_NAME = "metrics.jsonl";
/** The most that is read of one: 20 million steps. */
const MAX_BYTES = 2 ** 32;
/** Records that wait for room are kept until there are so many. */
const MAX_WAITING = 100_000;
/** When more than so many wait, only every so many-th tries again. */
const PATIENCE = 100;
const NEWLINE = 0x0a;

/** The metrics of a run, appended to. */
export class MetricsFile implements Disposable {
  /** What the file held of steps up to the one that training goes on from. */
  readonly before: readonly MetricsRecord[];
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #warn: (line: string) => void;
  /** Bytes of whole lines. */
  #length: number;
  /** Lines that could not be written yet. */
  #waiting: string[] = [];
  #isWarned = false;

  private constructor(
    path: string,
    file: Deno.FsFile,
    kept: Kept,
    warn: (line: string) => void,
  ) {
    this.#path = path;
    this.#file = file;
    this.before = kept.records;
    this.#length = kept.length;
    this.#warn = warn;
  }

  /**
   * Opens the metrics of a run; drops lines of later steps, and a torn last one.
   *
   * @param folder the run's
   * @param step the step that training goes on from; 0 for a new run
   * @param warn is told where lines cannot be written
   * @throws {MasterWeaverError} `cannot-read`, `cannot-write`
   */
  static async open(
    folder: string,
    step: number,
    warn: (line: string) => void = () => {},
  ): Promise<MetricsFile> {
    const path = `${folder}/${METRICS_NAME}`;
    const file = await asCannotWrite(
      path,
      () => Deno.open(path, { read: true, write: true, create: true }),
    );
    try {
      const kept = keptLines(await readFile(path, MAX_BYTES), step);
      await asCannotWrite(path, async () => {
        await file.truncate(kept.length);
        await file.seek(kept.length, Deno.SeekMode.Start);
      });
      return new MetricsFile(path, file, kept, warn);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /**
   * Appends a record. Where there is no room it waits for the next one, and the
   * user is told once.
   *
   * @throws {MasterWeaverError} `bad-option` for what is not a record
   */
  append(record: MetricsRecord): void {
    checkRecord(record);
    if (this.#waiting.length < MAX_WAITING) {
      this.#waiting.push(`${metricsLine(record)}\n`);
    }
    const { length } = this.#waiting;
    if (length > PATIENCE && length % PATIENCE !== 0) return;
    const bytes = new TextEncoder().encode(this.#waiting.join(""));
    try {
      writeAll(this.#file, bytes);
    } catch (error) {
      this.#takeBack();
      this.#warnOnce(error);
      return;
    }
    this.#length += bytes.length;
    this.#waiting = [];
  }

  /** Writes what still waits, if there is room now, and closes the file. */
  [Symbol.dispose](): void {
    try {
      writeAll(
        this.#file,
        new TextEncoder().encode(this.#waiting.join("")),
      );
    } catch {
      this.#takeBack();
    }
    this.#file.close();
  }

  /** Leaves no half line. */
  #takeBack(): void {
    try {
      this.#file.truncateSync(this.#length);
      this.#file.seekSync(this.#length, Deno.SeekMode.Start);
    } catch {
      // Readers tolerate a torn last line.
    }
  }

  #warnOnce(error: unknown): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    this.#warn(
      `Metrics cannot be written to ${this.#path}: ${
        reason(error)
      }; training goes on, and they are written once they can be`,
    );
  }
}

/** What stays of a file. */
interface Kept {
  readonly records: MetricsRecord[];
  /** Bytes of it. */
  readonly length: number;
}

/** The lines up to a step; those that are no records are passed over. */
function keptLines(bytes: Uint8Array, step: number): Kept {
  const records: MetricsRecord[] = [];
  const decoder = new TextDecoder();
  let start = 0;
  for (
    let end = bytes.indexOf(NEWLINE);
    end >= 0;
    end = bytes.indexOf(NEWLINE, start)
  ) {
    const record = parseMetricsLine(
      decoder.decode(bytes.subarray(start, end)),
    );
    if (record && record.step > step) break;
    if (record) records.push(record);
    start = end + 1;
  }
  return { records, length: start };
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    done += file.writeSync(bytes.subarray(done));
  }
}
