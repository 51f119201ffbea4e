/**
 * The engine that computes in the page itself.
 *
 * @module
 */
import type { IdentityChoices, Settings } from "../../options/settings.ts";
import { checkJobSettings } from "../../studio/api/settings.ts";
import type {
  ControlSource,
  EncodedIdentity,
  Person,
  Photo,
  Sources,
} from "../../studio/engine/engine.ts";
import { Job } from "../../studio/jobs/job.ts";
import {
  EngineError,
  type ImageRequest,
  type ImageRun,
  type PageEngine,
  type PhotoChoices,
} from "../../studio/page/engine/engine.ts";
import { contentHash } from "../../studio/page/state/content_hash.ts";
import {
  type ExtrasResource,
  type FacesResource,
  type IdentityResource,
  type ModelResource,
  noExtras,
} from "../../studio/wire/resources.ts";
import type { ModelHolder, OpenedModel } from "../state/model_holder.ts";
import { shownError, toEngineError } from "./errors.ts";
import { Files } from "./files.ts";
import { LocalRun, LostRun, WaitingRun } from "./local_run.ts";

/** The one who asks. */
const CLIENT = "page";

/** The page never stops a look at a photo. */
const never = new AbortController().signal;

/** The most people that are found again by their id. */
const KNOWN_PEOPLE = 50;

/** Makes images in this page. */
export class LocalEngine implements PageEngine {
  readonly #holder: ModelHolder;
  readonly #files = new Files();
  readonly #people = new Map<string, EncodedIdentity>();
  readonly #runs = new Map<string, LocalRun | WaitingRun>();

  /**
   * Nothing is started yet.
   *
   * @param holder has the model, once there is one
   */
  constructor(holder: ModelHolder) {
    this.#holder = holder;
  }

  async model(): Promise<ModelResource> {
    return (await this.#holder.opened()).queue.model;
  }

  extras(): Promise<ExtrasResource> {
    return Promise.resolve(noExtras);
  }

  async faces(photo: Blob): Promise<FacesResource> {
    return await this.#shown(async () => {
      const { photos } = await this.#holder.opened();
      return await photos.faces(await photoOf(photo), CLIENT, never);
    });
  }

  async identity(
    photos: readonly Blob[],
    choices: PhotoChoices,
    signal: AbortSignal,
  ): Promise<IdentityResource> {
    return await this.#shown(async () => {
      const person = await personOf(photos, choices);
      const { queue } = await this.#holder.opened();
      const encoded = await queue.encode(person, signal);
      this.#remember(encoded);
      const { id, faces, warnings } = encoded;
      return { id, faces: this.#files.resources(id, faces), warnings };
    });
  }

  async generate(request: ImageRequest): Promise<void> {
    await this.#shown(async () => {
      const opened = await this.#openedFor(request.id);
      if (!opened) return;
      const { queue } = opened;
      const sources = await sourcesOf(request);
      const job = new Job(CLIENT, {
        settings: settingsOf(request, sources, queue.model),
        person: await this.#personOf(request),
        sources,
        format: "png",
        preview: true,
        modelHash: queue.model.hash,
      }, request.id);
      await queue.add(job);
      const run = new LocalRun(
        job,
        queue,
        this.#files,
        (error) => this.#holder.forVisitors(shownError(error, opened.lastBug)),
      );
      this.#runs.set(job.id, run);
      job.ended.then(() => this.#holder.mend(job.resource().error));
      job.ended.then(() => this.#forgetLater(job.id));
    });
  }

  /** Who a request shows; null for nobody in particular. */
  async #personOf(
    { photos, choices, identity }: ImageRequest,
  ): Promise<Person | EncodedIdentity | null> {
    if (photos.length === 0) return null;
    return this.#people.get(identity ?? "") ?? await personOf(photos, choices);
  }

  resume(id: string): ImageRun {
    return this.#runs.get(id) ?? new LostRun();
  }

  async file(url: string): Promise<Blob> {
    const own = this.#files.blob(url);
    if (own) return own;
    return await (await fetch(new URL(url, document.baseURI))).blob();
  }

  workers(): Promise<number> {
    return Promise.resolve(1);
  }

  signIn(): Promise<void> {
    return Promise.resolve();
  }

  /** The model for a run; null where it was stopped before there was one. */
  async #openedFor(id: string): Promise<OpenedModel | null> {
    const waiting = new WaitingRun();
    this.#runs.set(id, waiting);
    try {
      const opened = await this.#holder.openedUnless(waiting.stopped);
      if (opened) this.#runs.delete(id);
      else this.#forgetLater(id);
      return opened;
    } catch (error) {
      this.#runs.delete(id);
      throw error;
    }
  }

  #forgetLater(id: string): void {
    setTimeout(() => this.#runs.delete(id), 60_000);
  }

  /** Does something; its errors become those that components show. */
  async #shown<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const shown = toEngineError(error);
      this.#holder.mend(shown);
      const { code, message } = this.#holder.forVisitors(shown);
      throw new EngineError(code, message, shown.more);
    }
  }

  #remember(person: EncodedIdentity): void {
    this.#people.delete(person.id);
    this.#people.set(person.id, person);
    for (const oldest of this.#people.keys()) {
      if (this.#people.size <= KNOWN_PEOPLE) return;
      this.#people.delete(oldest);
    }
  }
}

function settingsOf(
  { settings: { seed, ...given }, photos }: ImageRequest,
  sources: Sources,
  model: ModelResource,
): Settings {
  const whole = typeof seed === "string" ? BigInt(seed) : seed;
  const hasPerson = photos.length > 0;
  return checkJobSettings(
    { ...given, seed: whole },
    { sources, hasPerson, model },
  );
}

/** A page has no extra files, so a ControlNet is refused when its file is looked for. */
async function sourcesOf(
  { sources: { initImage, mask, controls }, photos }: ImageRequest,
): Promise<Sources> {
  const used: ControlSource[] = [];
  for (const { image, range: [start, end], ...choice } of controls) {
    const seen = image ?? photos[0];
    if (seen) used.push({ ...choice, start, end, image: await photoOf(seen) });
  }
  return {
    ...initImage && { initImage: await photoOf(initImage) },
    ...mask && { mask: await photoOf(mask) },
    controls: used,
  };
}

async function personOf(
  photos: readonly Blob[],
  choices: PhotoChoices,
): Promise<Person> {
  return {
    photos: await Promise.all(photos.map(photoOf)),
    choices: choices as Partial<IdentityChoices>,
  };
}

async function photoOf(file: Blob): Promise<Photo> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return { bytes, hash: await contentHash(bytes) };
}
