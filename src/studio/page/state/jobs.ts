/**
 * Carries jobs through: sends them, follows them, stops them, and keeps what
 * they made, whatever becomes of the connection or of this tab.
 *
 * @module
 */
import type { ImageResource } from "../../wire/resources.ts";
import { EngineError, type PageEngine } from "../engine/engine.ts";
import { wait } from "../engine/wait.ts";
import { computed, effect, signal } from "../preact.tsx";
import type { Cell, ReadonlyCell } from "./cell.ts";
import type { Connection } from "./connection.ts";
import { toEngineError } from "./engine_error.ts";
import {
  allHashes,
  type Entry,
  type FilesByHash,
  type History,
} from "./history.ts";
import {
  forgetJob,
  holdJob,
  jobsLeft,
  newJobId,
  type PendingJob,
  rememberJob,
} from "./pending.ts";
import { rememberedInTab } from "./remembered.ts";
import { Run } from "./run.ts";
import { requestSources } from "./source_texts.ts";
import { isTabShown } from "./visibility.ts";

/** Seconds until a full queue is tried again, where the server does not say. */
const QUEUE_SECONDS = 10;

/** Milliseconds from one attempt to the next, where the connection broke. */
const PAUSE = 1500;

/** Attempts, where the server answers that it failed. */
const ATTEMPTS = 5;

/** Milliseconds from one look for workers to the next. */
const LOOK = 5000;

/** What is wanted of a job. */
export type NewJob = Pick<
  PendingJob,
  "settings" | "choices" | "photos" | "sources"
>;

/** The jobs of this tab, one at a time. */
export class Jobs {
  /** What is being made, or was made last. */
  readonly run: Cell<Run | null> = signal(null);
  /** What was made and is looked at; null where the run is. */
  readonly shown: Cell<Entry | null> = signal(null);
  /** Whether images are being made. */
  readonly isBusy: ReadonlyCell<boolean>;
  /** Whether what is being made waits, and no worker is there to take it. */
  readonly isUnattended: Cell<boolean> = signal(false);
  readonly #engine: PageEngine;
  readonly #history: History;
  readonly #connection: Connection;

  /**
   * No job yet.
   *
   * @param history takes what is made
   * @param connection is told how the server is
   */
  constructor(engine: PageEngine, history: History, connection: Connection) {
    this.#engine = engine;
    this.#history = history;
    this.#connection = connection;
    this.isBusy = computed(() => this.run.value?.isActive ?? false);
    this.#watchWorkers();
  }

  /**
   * Makes images.
   *
   * @param files all that they are made from, by hash
   * @param identity the id of these photos with these choices, where it is known
   */
  async make(
    wanted: NewJob,
    files: FilesByHash,
    identity: string | null,
  ): Promise<void> {
    const run = new Run({
      ...wanted,
      id: newJobId(),
      createdAt: Date.now(),
      isSent: false,
      isStopped: false,
    });
    await this.#carryThrough(run, files, identity);
  }

  /** Takes up what this tab followed before it was loaded anew, then what closed tabs left. */
  async takeUp(): Promise<void> {
    const tried = new Set<string>();
    while (!this.isBusy.value) {
      const job = jobsLeft(rememberedInTab("job"))
        .find(({ id }) => !tried.has(id));
      if (!job) return;
      tried.add(job.id);
      const files = await this.#history.sources(allHashes(job));
      // Somebody was quicker.
      if (this.isBusy.value) return;
      await this.#carryThrough(new Run(job), files, null);
    }
  }

  /** Stops what is being made. */
  async stop(): Promise<void> {
    const run = this.run.value;
    if (!run?.isActive || run.isStopping.value) return;
    run.isStopping.value = true;
    this.#note(run, { isStopped: true });
    run.controller.abort();
    const { id, isSent } = run.job;
    try {
      if (isSent) await this.#insist(() => this.#engine.resume(id).cancel());
      // It may be there already; if not, its answer is waited for.
      else await this.#engine.resume(id).cancel();
    } catch (error) {
      const { code } = toEngineError(error);
      if (isSent && code !== "not-found") run.isStopping.value = false;
    }
  }

  async #carryThrough(
    run: Run,
    files: FilesByHash,
    identity: string | null,
  ): Promise<void> {
    this.run.value = run;
    this.shown.value = null;
    this.#note(run, {});
    const release = holdJob(run.job);
    try {
      if (!run.job.isSent) await this.#send(run, files, identity);
      if (run.isStopping.value) await this.#cancel(run);
      if (run.isActive) await this.#follow(run);
      if (run.phase.value.phase === "fetching") await this.#keep(run, files);
      forgetJob(run.job);
    } catch (error) {
      const { code, message, more } = toEngineError(error);
      const isGone = run.job.isSent && code === "not-found";
      run.phase.value = {
        phase: "failed",
        error: { code: isGone ? "gone" : code, message, ...more },
      };
      // Else the next page may still get its images.
      if (isGone || !run.job.isSent) forgetJob(run.job);
    } finally {
      release();
    }
  }

  /** Sends it until the server has it, or somebody stops it. */
  async #send(
    run: Run,
    files: FilesByHash,
    identity: string | null,
  ): Promise<void> {
    const { id, settings, choices, photos, sources } = run.job;
    // Without one of them, other images would be made than were asked for.
    if (allHashes(run.job).some((hash) => !files.has(hash))) {
      throw new EngineError("files-gone", "A file is not kept any more");
    }
    while (!run.isStopping.value) {
      try {
        await this.#engine.generate({
          id,
          settings,
          choices,
          photos: photos.map((hash) => files.get(hash)!),
          identity,
          sources: requestSources(sources, files),
        });
        return this.#note(run, { isSent: true });
      } catch (error) {
        await this.#waitToSend(run, toEngineError(error));
      }
    }
  }

  /** Waits where the server has no room, or cannot be reached; other errors are thrown. */
  async #waitToSend(run: Run, error: EngineError): Promise<void> {
    this.#connection.notice(error);
    const { code, message, more } = error;
    const { signal } = run.controller;
    if (code === "offline") return await wait(PAUSE, signal);
    if (code !== "queue-full") throw error;
    const pause = 1000 * (more.retryAfter ?? QUEUE_SECONDS);
    const retryAt = Date.now() + pause;
    run.phase.value = { phase: "refused", error: { code, message }, retryAt };
    await wait(pause, signal);
    run.phase.value = { phase: "sending" };
  }

  /** Stops it; where the server does not have it, that is its end. */
  async #cancel(run: Run): Promise<void> {
    try {
      await this.#insist(() => this.#engine.resume(run.job.id).cancel());
      this.#note(run, { isSent: true });
    } catch (error) {
      if (toEngineError(error).code !== "not-found") throw error;
      run.phase.value = { phase: "stopped" };
    }
  }

  /** Takes in its events, to the end. */
  async #follow(run: Run): Promise<void> {
    for await (const event of this.#engine.resume(run.job.id).events()) {
      run.take(event);
      if (event.type === "disconnected") {
        this.#connection.notice(new EngineError("offline", ""));
      }
    }
  }

  /** Keeps what it made. */
  async #keep(run: Run, files: FilesByHash): Promise<void> {
    const { job } = run;
    const { settings, truncatedPrompt, createdAt } = await this.#insist(() =>
      this.#engine.resume(job.id).summary()
    );
    const file = ({ url }: ImageResource) =>
      this.#insist(() => this.#engine.file(url));
    const images = await Promise.all(run.images.map(file));
    const faces = await Promise.all(run.references.value.map(file));
    const [{ width, height }] = run.images;
    const entry = await this.#history.add(
      {
        id: job.id,
        createdAt: Date.parse(createdAt),
        settings,
        choices: job.choices,
        photos: job.photos,
        sources: job.sources,
        size: { width, height },
        warnings: run.warnings.value,
        truncatedPrompt,
        seconds: run.seconds,
      },
      { images, faces },
      files,
    );
    run.phase.value = { phase: "done" };
    // Somebody may look at older images meanwhile.
    if (this.shown.value === null) this.shown.value = entry;
  }

  /** Asks until there is an answer; one that the server failed is not believed at once. */
  async #insist<T>(ask: () => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        return await ask();
      } catch (error) {
        const known = toEngineError(error);
        this.#connection.notice(known);
        const isPassing = known.code === "offline" ||
          known.code === "internal" && attempt < ATTEMPTS;
        if (!isPassing) throw known;
      }
      await wait(PAUSE);
    }
  }

  /** Looks for workers as long as a run waits. */
  #watchWorkers(): void {
    const isQueued = computed(() =>
      this.run.value?.phase.value.phase === "queued" && isTabShown.value
    );
    effect(() => {
      this.isUnattended.value = false;
      if (!isQueued.value) return;
      const look = async () => {
        const count = await this.#engine.workers().catch(() => undefined);
        this.isUnattended.value = count === 0 && isQueued.value;
      };
      look();
      const timer = setInterval(look, LOOK);
      return () => clearInterval(timer);
    });
  }

  /** Remembers what is known of a run's job. */
  #note(run: Run, news: Partial<PendingJob>): void {
    run.job = { ...run.job, ...news };
    rememberJob(run.job);
  }
}
