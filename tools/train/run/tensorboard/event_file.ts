/**
 * A file of TensorBoard's events, which `tensorboard --logdir RUN` shows.
 *
 * @module
 */
import { asCannotWrite } from "../../../../src/host/write.ts";
import { reason } from "../../../../src/host/reasons.ts";
import {
  type EventImage,
  imageEvent,
  scalarEvent,
  startEvent,
  versionEvent,
} from "./events.ts";

/** The folder of event files in a run's folder. */
export const EVENTS_FOLDER = "tensorboard";

/** Writes events; a run that goes on writes to another file, as TensorBoard expects. */
export class EventFile implements Disposable {
  /** Where it is. */
  readonly path: string;
  readonly #file: Deno.FsFile;
  readonly #now: () => number;
  readonly #warn: (line: string) => void;
  /** Bytes of whole records. */
  #length = 0;
  #isWarned = false;

  private constructor(
    path: string,
    file: Deno.FsFile,
    now: () => number,
    warn: (line: string) => void,
  ) {
    this.path = path;
    this.#file = file;
    this.#now = now;
    this.#warn = warn;
  }

  /**
   * Begins a new file.
   *
   * @param run the run's folder
   * @param step the step that training goes on from: what earlier files say of later ones is no longer shown; 0 for a new run
   * @param warn is told, once, where events cannot be written
   * @param now seconds since 1970
   * @throws {MasterWeaverError} `cannot-write`
   */
  static async open(
    run: string,
    step: number,
    warn: (line: string) => void = () => {},
    now: () => number = () => Date.now() / 1000,
  ): Promise<EventFile> {
    const folder = `${run}/${EVENTS_FOLDER}`;
    await asCannotWrite(folder, () => Deno.mkdir(folder, { recursive: true }));
    const { path, file } = await newFile(folder, Math.floor(now()));
    const events = new EventFile(path, file, now, warn);
    events.#append(versionEvent(now()));
    if (step > 0) {
      events.#append(startEvent({ wallTime: now(), step: step + 1 }));
    }
    return events;
  }

  /** Adds the values of a step. */
  scalars(step: number, values: Readonly<Record<string, number>>): void {
    this.#append(scalarEvent({ wallTime: this.#now(), step }, values));
  }

  /** Adds an image of a step. */
  image(step: number, image: EventImage): void {
    this.#append(imageEvent({ wallTime: this.#now(), step }, image));
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  /** Writes a record whole or not at all: a torn one would end what is read. */
  #append(record: Uint8Array): void {
    try {
      for (let done = 0; done < record.length;) {
        done += this.#file.writeSync(record.subarray(done));
      }
      this.#length += record.length;
    } catch (error) {
      this.#takeBack();
      if (this.#isWarned) return;
      this.#isWarned = true;
      this.#warn(
        `TensorBoard events cannot be written to ${this.path}: ${
          reason(error)
        }; training goes on without them`,
      );
    }
  }

  #takeBack(): void {
    try {
      this.#file.truncateSync(this.#length);
      this.#file.seekSync(this.#length, Deno.SeekMode.Start);
    } catch {
      // Nothing more can be done.
    }
  }
}

/**
 * A file with a name that comes after those before: TensorBoard reads files in
 * the order of their names.
 */
async function newFile(
  folder: string,
  seconds: number,
): Promise<{ path: string; file: Deno.FsFile }> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const times = entries.map(({ name }) =>
    Number(/^events\.out\.tfevents\.(\d{10})\./.exec(name)?.[1] ?? 0)
  );
  // A clock may have been set back, or the last file begun within this second.
  const time = Math.max(seconds, ...times.map((time) => time + 1));
  const path = `${folder}/events.out.tfevents.${
    String(time).padStart(10, "0")
  }.masterweaver`;
  const file = await asCannotWrite(
    path,
    () => Deno.open(path, { write: true, createNew: true }),
  );
  return { path, file };
}
