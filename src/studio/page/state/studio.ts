/**
 * All that the page knows and does; components show it and call it.
 *
 * @module
 */
import type { ImageResource } from "../../wire/resources.ts";
import type { PageEngine } from "../engine/engine.ts";
import { computed, effect, signal } from "../preact.tsx";
import type { Cell, ReadonlyCell } from "./cell.ts";
import { Comparison } from "./comparison.ts";
import { Connection } from "./connection.ts";
import type { Example } from "./examples.ts";
import { Form } from "./form.ts";
import { toEngineError } from "./engine_error.ts";
import { hashesIn } from "./hashes.ts";
import { type Entry, History } from "./history.ts";
import { Jobs } from "./jobs.ts";
import { Photos } from "./photos.ts";
import {
  remember,
  remembered,
  rememberedInTab,
  rememberInTab,
} from "./remembered.ts";
import type { Run } from "./run.ts";
import { isTabShown } from "./visibility.ts";

/** Why nothing can be made yet. */
export type Obstacle = "photo" | "field";

/** What the form was filled with, so that it can be said. */
export interface Filled {
  /** Photos that the browser does not have any more. */
  readonly missing: number;
}

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
  readonly run: ReadonlyCell<Run | null>;
  /** What was made and is looked at; null where the run is. */
  readonly shown: Cell<Entry | null>;
  /** Why the last attempt to generate did nothing. */
  readonly obstacle: Cell<Obstacle | null> = signal(null);
  /** Whether images are being made. */
  readonly isBusy: ReadonlyCell<boolean>;
  /** Whether what is being made waits, and no worker is there to take it. */
  readonly isUnattended: ReadonlyCell<boolean>;
  /** The photos as the encoder sees them, by asking it or by the run; empty while that is not known. */
  readonly encoderView: ReadonlyCell<readonly ImageResource[]>;
  /** What the form was just filled with. */
  readonly filled: Cell<Filled | null> = signal(null);
  readonly #engine: PageEngine;
  readonly #jobs: Jobs;

  /**
   * The page as it was left.
   *
   * @param engine makes images
   */
  constructor(engine: PageEngine) {
    this.#engine = engine;
    this.connection = new Connection(engine, () => {
      this.photos.askAgain();
      this.#jobs.takeUp();
    });
    this.#jobs = new Jobs(engine, this.history, this.connection);
    ({ run: this.run, shown: this.shown, isBusy: this.isBusy } = this.#jobs);
    this.isUnattended = this.#jobs.isUnattended;
    const { model } = this.connection;
    this.form = new Form(model);
    this.photos = new Photos(
      engine,
      computed(() => model.value?.maxReferences ?? 3),
      computed(() => this.form.choices()),
      computed(() => isTabShown.value && !this.isBusy.value),
    );
    this.encoderView = computed(() => this.#encoderView());
    this.#watchErrors();
  }

  /** Takes up what an earlier page left. */
  async start(): Promise<void> {
    const hashes = hashesIn(rememberedInTab("photos") ?? remembered("photos"));
    this.connection.connect();
    await this.history.load();
    const photos = await this.history.photos(hashes);
    await this.photos.replace([...photos.values()]);
    this.#keepPhotos();
    this.shown.value = this.history.entries.value[0] ?? null;
    await this.#jobs.takeUp();
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
    this.filled.value = null;
    this.comparison.clear();
    this.form.drawSeed();
    const identity = this.photos.identity.value;
    await this.#jobs.make(
      {
        settings: this.form.settings(),
        choices: this.photos.choices.value,
        photos: photos.map(({ hash }) => hash),
      },
      new Map(photos.map(({ hash, file }) => [hash, file])),
      identity?.state === "there" ? identity.value.id : null,
    );
  }

  /** Stops what is being made. */
  stop(): Promise<void> {
    return this.#jobs.stop();
  }

  /** Fills the form, and fetches the photos, with what made some images. */
  async again({ settings, choices, photos: hashes }: Entry): Promise<void> {
    const { face, ...others } = choices;
    this.comparison.clear();
    this.form.fill({
      ...settings,
      ...others,
      ...!Array.isArray(face) && { face },
    });
    const photos = await this.history.photos(hashes);
    // Never with photos that were in the form before: they may show somebody else.
    await this.photos.replace(
      [...photos.values()],
      Array.isArray(face)
        ? hashes.flatMap((hash, i) => photos.has(hash) ? [face[i]] : [])
        : [],
    );
    this.filled.value = { missing: hashes.length - photos.size };
  }

  /** Fills the form with the settings that an image carries. */
  fill(settings: Readonly<Record<string, unknown>>): void {
    this.form.fill(settings);
    this.filled.value = { missing: 0 };
  }

  /** Fills the form with an example, and makes its images. */
  async useExample(
    { portrait, prompt, seed, idScale }: Example,
  ): Promise<void> {
    if (this.isBusy.value) return;
    try {
      await this.photos.replace([await this.#engine.file(portrait)]);
    } catch (error) {
      this.connection.notice(toEngineError(error));
      return;
    }
    this.filled.value = null;
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
    const removed = this.history.remove(entries);
    if (isShown) this.shown.value = this.history.entries.value[0] ?? null;
    await removed;
  }

  /** Keeps the photos, so that they are there after a reload and for using them again. */
  #keepPhotos(): void {
    const keep = () => {
      const photos = this.photos.list.value;
      this.history.addPhotos(
        new Map(photos.map(({ hash, file }) => [hash, file])),
      );
    };
    effect(() => {
      const hashes = this.photos.list.value.map(({ hash }) => hash);
      rememberInTab("photos", hashes);
      // A new tab begins with the photos that were chosen last.
      remember("photos", hashes);
      keep();
    });
    // Another tab does not know what is in this one's form, and may have deleted it.
    effect(() => {
      if (isTabShown.value) keep();
    });
  }

  #encoderView(): readonly ImageResource[] {
    const identity = this.photos.identity.value;
    if (identity?.state === "there") return identity.value.faces;
    const run = this.run.value;
    if (!run) return [];
    const hashes = this.photos.list.value.map(({ hash }) => hash);
    const key = (photos: readonly string[], choices: object) =>
      JSON.stringify([photos, Object.entries(choices).sort()]);
    const isSame = key(hashes, this.photos.choices.value) ===
      key(run.job.photos, run.job.choices);
    return isSame ? run.references.value : [];
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
