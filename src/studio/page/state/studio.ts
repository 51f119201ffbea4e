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
import { encoderView } from "./encoder_view.ts";
import type { Example } from "./examples.ts";
import { Extras } from "./extras.ts";
import { fillFromEntry, fillFromPng, type MissingFiles } from "./filling.ts";
import { Form } from "./form.ts";
import { toEngineError } from "./engine_error.ts";
import { type Entry, History } from "./history.ts";
import { Jobs } from "./jobs.ts";
import {
  bringBack,
  keepFiles,
  type LeftFiles,
  leftFiles,
} from "./keep_files.ts";
import { filesByHash } from "./photo_files.ts";
import { Photos } from "./photos.ts";
import type { PngSettings } from "./png_settings.ts";
import type { Run } from "./run.ts";
import { noSourceTexts } from "./source_texts.ts";
import { Sources } from "./sources.ts";
import { isTabShown } from "./visibility.ts";

/** All that the page knows and does. */
export class Studio {
  /** The way to the server. */
  readonly connection: Connection;
  /** The extra files that images can use. */
  readonly extras: Extras;
  /** The reference photos. */
  readonly photos: Photos;
  /** What images are made from besides a person. */
  readonly sources: Sources;
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
  /** Whether the last attempt to generate did nothing, for a field was wrong. */
  readonly isHeldUp: Cell<boolean> = signal(false);
  /** Whether any field is wrong. */
  readonly isWrong: ReadonlyCell<boolean>;
  /** Whether images are being made. */
  readonly isBusy: ReadonlyCell<boolean>;
  /** Whether what is being made waits, and no worker is there to take it. */
  readonly isUnattended: ReadonlyCell<boolean>;
  /** Whether the model follows identities, as far as it is known. */
  readonly followsPeople: ReadonlyCell<boolean>;
  /** The photos as the encoder sees them, by asking it or by the run; empty while that is not known. */
  readonly encoderView: ReadonlyCell<readonly ImageResource[]>;
  /** What could not be brought back when the form was just filled. */
  readonly filled: Cell<MissingFiles | null> = signal(null);
  readonly #engine: PageEngine;
  readonly #jobs: Jobs;
  /** Settles once the form is as it was left. */
  #filledIn: Promise<void> = Promise.resolve();

  /**
   * The page as it was left.
   *
   * @param engine makes images
   */
  constructor(engine: PageEngine) {
    this.#engine = engine;
    this.extras = new Extras(engine);
    this.connection = new Connection(engine, () => {
      this.photos.askAgain();
      this.#jobs.takeUp();
    });
    this.#jobs = new Jobs(engine, this.history, this.connection);
    ({ run: this.run, shown: this.shown, isBusy: this.isBusy } = this.#jobs);
    this.isUnattended = this.#jobs.isUnattended;
    const { model, state } = this.connection;
    this.followsPeople = computed(() => model.value?.maxReferences !== 0);
    this.sources = new Sources(() => this.photos.used.value.length > 0);
    this.form = new Form(
      model,
      computed(() => ({
        initImage: this.sources.initImage.image.value !== null,
        mask: this.sources.mask.image.value !== null,
        controls: this.sources.controls.rows.value.length > 0,
        taesd: model.value?.taesd ?? false,
        people: this.followsPeople.value,
      })),
    );
    this.isWrong = computed(() =>
      this.form.wrong.value.size > 0 || this.sources.controls.areWrong.value
    );
    this.photos = new Photos(
      engine,
      computed(() => model.value?.maxReferences ?? 3),
      computed(() => this.form.choices()),
      computed(() => isTabShown.value && !this.isBusy.value),
    );
    this.encoderView = computed(() => encoderView(this.photos, this.run.value));
    effect(() => {
      if (state.value === "there") this.extras.refresh();
    });
    this.#watchErrors();
  }

  /** Takes up what an earlier page left. */
  async start(): Promise<void> {
    this.connection.connect();
    const filledIn = this.#bringBack(leftFiles());
    this.#filledIn = filledIn.catch(() => {});
    await filledIn;
    keepFiles(this.history, this.photos, this.sources);
    this.shown.value = this.history.entries.value[0] ?? null;
    await this.#jobs.takeUp();
  }

  async #bringBack(left: LeftFiles): Promise<void> {
    await this.history.load();
    await bringBack(left, this);
  }

  /** Makes images of what is in the form. */
  async generate(): Promise<void> {
    // Without a mask that is on its way, all of an image would be made anew.
    await this.#filledIn;
    if (this.isBusy.value) return;
    this.isHeldUp.value = this.isWrong.value;
    if (this.isHeldUp.value) return;
    const photos = this.photos.used.value;
    const hasPerson = photos.length > 0;
    this.filled.value = null;
    this.comparison.clear();
    this.form.drawSeed();
    const identity = this.photos.identity.value;
    await this.#jobs.make(
      {
        settings: this.form.settings(hasPerson),
        choices: hasPerson ? this.photos.choices.value : {},
        photos: photos.map(({ hash }) => hash),
        sources: this.sources.texts.value,
      },
      filesByHash([...photos, ...this.sources.files]),
      identity?.state === "there" ? identity.value.id : null,
    );
  }

  /** Stops what is being made. */
  stop(): Promise<void> {
    return this.#jobs.stop();
  }

  /** Fills the form, and fetches the files, with what made some images. */
  async again(entry: Entry): Promise<void> {
    this.comparison.clear();
    this.filled.value = await fillFromEntry(this, entry);
  }

  /** Fills the form with what made an image, as its file says. */
  async fill(png: PngSettings): Promise<void> {
    this.filled.value = await fillFromPng(this, png);
  }

  /** Goes on from an image that was made. */
  async startFrom(entry: Entry, index: number): Promise<void> {
    const { images } = await this.history.files(entry);
    this.comparison.clear();
    if (images[index]) await this.sources.startFrom(images[index]);
  }

  /** Takes files that are dropped or pasted anywhere. */
  async take(files: readonly Blob[]): Promise<void> {
    if (this.followsPeople.value) return await this.photos.add(files);
    if (files.length > 0) await this.sources.startFrom(files[0]);
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
    await this.sources.restore(noSourceTexts, new Map());
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
