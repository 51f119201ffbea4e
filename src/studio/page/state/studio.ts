/**
 * All that the page knows and does; components show it and call it.
 *
 * @module
 */
import { EngineError, type PageEngine } from "../engine/engine.ts";
import { computed, effect, signal } from "../preact.tsx";
import type { Cell, ReadonlyCell } from "./cell.ts";
import { Comparison } from "./comparison.ts";
import { Connection } from "./connection.ts";
import type { Example } from "./examples.ts";
import { Form } from "./form.ts";
import { type Entry, hashesIn, History } from "./history.ts";
import { type PendingJob, pendingJob, rememberJob } from "./pending.ts";
import { Photos, toEngineError } from "./photos.ts";
import { remember, remembered } from "./remembered.ts";
import { Run } from "./run.ts";

/** Why nothing can be made yet. */
export type Obstacle = "photo" | "field";

/** Seconds until a full queue is tried again, where the server does not say. */
const RETRY_SECONDS = 10;

/** All that the page knows and does. */
export class Studio {
  /** The way to the server. */
  readonly connection: Connection;
  /** The reference photos. */
  readonly photos: Photos;
  /** What is in the form. */
  readonly form: Form;
  /** What was made. */
  readonly history: History = new History();
  /** What is compared. */
  readonly comparison: Comparison = new Comparison();
  /** What is being made, or was made last. */
  readonly run: Cell<Run | null> = signal(null);
  /** What was made and is looked at; null where the run is. */
  readonly shown: Cell<Entry | null> = signal(null);
  /** Why the last attempt to generate did nothing. */
  readonly obstacle: Cell<Obstacle | null> = signal(null);
  /** Whether images are being made. */
  readonly isBusy: ReadonlyCell<boolean>;
  readonly #engine: PageEngine;

  /**
   * The page as it was left.
   *
   * @param engine makes images
   */
  constructor(engine: PageEngine) {
    this.#engine = engine;
    this.connection = new Connection(engine, () => this.photos.askAgain());
    const { model } = this.connection;
    this.form = new Form(computed(() => model.value?.size ?? null));
    this.photos = new Photos(
      engine,
      computed(() => model.value?.maxReferences ?? 3),
      computed(() => this.form.choices()),
    );
    this.isBusy = computed(() => this.run.value?.isActive ?? false);
    this.#watchErrors();
  }

  /** Takes up what an earlier page left. */
  async start(): Promise<void> {
    const hashes = hashesIn(remembered("photos"));
    this.connection.connect();
    await this.history.load();
    await this.photos.replace(await this.history.photos(hashes));
    this.#keepPhotos();
    const job = pendingJob();
    if (job) await this.#follow(new Run(job), job);
    else this.shown.value = this.history.entries.value[0] ?? null;
  }

  /** Makes images of what is in the form. */
  async generate(): Promise<void> {
    if (this.isBusy.value) return;
    const photos = this.photos.list.value;
    this.obstacle.value = photos.length === 0
      ? "photo"
      : this.form.wrong.value.size > 0
      ? "field"
      : null;
    if (this.obstacle.value) return;
    this.form.drawSeed();
    const run = new Run({
      settings: this.form.settings(),
      choices: this.photos.choices.value,
      photos: photos.map(({ hash }) => hash),
    });
    this.run.value = run;
    this.shown.value = null;
    await this.#send(run, photos.map(({ file }) => file));
  }

  /** Stops what is being made. */
  async stop(): Promise<void> {
    const run = this.run.value;
    if (!run?.isActive) return;
    run.isStopping.value = true;
    if (!run.image) {
      run.controller.abort();
      run.phase.value = { phase: "stopped" };
      return;
    }
    try {
      await run.image.cancel();
    } catch (error) {
      this.connection.notice(toEngineError(error));
    }
  }

  /** Fills the form, and fetches the photos, with what made some images. */
  async again({ settings, choices, photos }: Entry): Promise<void> {
    const { face, ...others } = choices;
    this.form.fill({
      ...settings,
      ...others,
      ...!Array.isArray(face) && { face },
    });
    const files = await this.history.photos(photos);
    if (files.length > 0) {
      await this.photos.replace(files, Array.isArray(face) ? face : []);
    }
  }

  /** Fills the form with an example, and makes its images. */
  async useExample(
    { portrait, prompt, seed, idScale }: Example,
  ): Promise<void> {
    if (this.isBusy.value) return;
    try {
      const file = await this.#engine.file({
        url: portrait,
        width: 0,
        height: 0,
      });
      await this.photos.replace([file]);
    } catch (error) {
      this.connection.notice(toEngineError(error));
      return;
    }
    this.form.set("prompt", prompt);
    this.form.set("idScale", String(idScale));
    this.form.set("seed", String(seed));
    this.form.setRandom(false);
    await this.generate();
  }

  /** Deletes what was made. */
  async remove(entries: readonly Entry[]): Promise<void> {
    const isShown = entries.some(({ id }) => id === this.shown.value?.id);
    this.comparison.forget(entries);
    await this.history.remove(entries);
    if (isShown) this.shown.value = this.history.entries.value[0] ?? null;
  }

  async #send(run: Run, photos: readonly Blob[]): Promise<void> {
    const { signal } = run.controller;
    while (!signal.aborted) {
      try {
        const identity = this.photos.identity.value;
        const image = await this.#engine.generate({
          settings: run.job.settings,
          choices: run.job.choices,
          photos,
          identity: identity?.state === "there" ? identity.value.id : null,
        });
        const job = { ...run.job, id: image.id };
        if (signal.aborted) return await image.cancel();
        return await this.#follow(run, job);
      } catch (error) {
        if (!await this.#mayTryAgain(run, toEngineError(error))) return;
      }
    }
  }

  /** Waits, where the server only has no room; else the run has failed. */
  async #mayTryAgain(run: Run, error: EngineError): Promise<boolean> {
    this.connection.notice(error);
    const { code, message, more } = error;
    if (code !== "queue-full") {
      run.phase.value = { phase: "failed", error: { code, message, ...more } };
      return false;
    }
    const { retryAfter = RETRY_SECONDS } = more;
    const retryAt = Date.now() + retryAfter * 1000;
    run.phase.value = { phase: "refused", error: { code, message }, retryAt };
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, retryAfter * 1000);
      run.controller.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      }, { once: true });
    });
    if (run.controller.signal.aborted) return false;
    run.phase.value = { phase: "sending" };
    return true;
  }

  /** Takes in a job's events, and keeps what it made. */
  async #follow(run: Run, job: PendingJob): Promise<void> {
    rememberJob(job);
    run.image = this.#engine.resume(job.id);
    this.run.value = run;
    this.shown.value = null;
    try {
      for await (const event of run.image.events(run.controller.signal)) {
        run.take(event);
        if (event.type === "disconnected") {
          this.connection.notice(new EngineError("offline", ""));
        }
      }
      if (run.phase.value.phase === "fetching") await this.#keep(run, job);
    } catch (error) {
      const { code, message } = toEngineError(error);
      const known = code === "not-found" ? "gone" : code;
      run.phase.value = { phase: "failed", error: { code: known, message } };
    }
    rememberJob(null);
  }

  async #keep(run: Run, job: PendingJob): Promise<void> {
    const { settings, truncatedPrompt, createdAt } = await run.image!.summary();
    const file = (image: typeof run.images[number]) => this.#engine.file(image);
    const images = await Promise.all(run.images.map(file));
    const faces = await Promise.all(run.references.value.map(file));
    const [{ width, height }] = run.images;
    const entry = await this.history.add({
      id: job.id,
      createdAt: Date.parse(createdAt),
      settings,
      choices: { ...job.choices },
      photos: job.photos,
      size: { width, height },
      warnings: run.warnings.value,
      truncatedPrompt,
      seconds: run.seconds,
    }, { images, faces });
    run.phase.value = { phase: "done" };
    // Somebody may look at older images meanwhile.
    if (this.shown.value === null) this.shown.value = entry;
  }

  /** Keeps the photos, so that they are there after a reload and for using them again. */
  #keepPhotos(): void {
    const kept = new Set<string>();
    effect(() => {
      const photos = this.photos.list.value;
      remember("photos", photos.map(({ hash }) => hash));
      for (const { hash, file } of photos) {
        if (kept.has(hash)) continue;
        kept.add(hash);
        this.history.addPhoto(hash, file);
      }
    });
  }

  /** Notices when a question about photos finds the server gone. */
  #watchErrors(): void {
    effect(() => {
      const answers = [
        this.photos.identity.value,
        ...this.photos.list.value.map(({ faces }) => faces.value),
      ];
      for (const answer of answers) {
        if (answer?.state === "failed") this.connection.notice(answer.error);
      }
    });
  }
}
