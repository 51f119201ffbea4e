/**
 * Images that a request of another program's API asks for, as a job.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Settings } from "../../options/settings.ts";
import { checkPerson } from "../api/person.ts";
import { readPhotos } from "../api/photos.ts";
import { checkJobSettings } from "../api/settings.ts";
import { readSources, type SourceFields } from "../api/sources.ts";
import type { Studio } from "../api/studio.ts";
import type { EncodedIdentity, Person, Photo } from "../engine/engine.ts";
import type { ModelResource } from "../wire/resources.ts";
import { ApiError, badField } from "../errors.ts";
import { Job, type JobRequest } from "../jobs/job.ts";
import type { OwnFields } from "./own_fields.ts";

/** What is asked for, in the library's words. */
export interface Order {
  /** Settings of the images, from fields of the other program's. */
  readonly settings: Partial<Settings> & { readonly prompt: string };
  /** What they are made from, from fields of the other program's. */
  readonly sources?: SourceFields;
  /** Our own fields, which come first; nobody in particular where they name nobody. */
  readonly own: OwnFields;
  /** The format of the images' files. */
  readonly format: "png" | "jpeg";
  /** Whether previews are wanted. */
  readonly preview: boolean;
}

/** What the other program calls its fields, for messages. */
export interface FieldNames {
  /** Its field for reference photos. */
  readonly photos: string;
  /** Its fields for options, where their names differ from the library's. */
  readonly options: Readonly<Partial<Record<keyof Settings, string>>>;
}

/**
 * Checks an order against the model.
 *
 * @throws {ApiError} 400 `bad-request`, 404 `not-found`, 413 `too-large`, 415 `unsupported-type`
 */
export async function requestOf(
  studio: Studio,
  { own, format, preview, ...given }: Order,
  names: FieldNames,
): Promise<JobRequest> {
  const { model } = studio.queue;
  const photos = await photosOf(own, model, names);
  const person = personOf(studio, own, photos, names);
  const { idScale = 0 } = own.settings;
  if (person === null && idScale > 0) {
    throw new ApiError(
      400,
      "bad-request",
      `An identity scale of ${idScale} needs a person: give reference photos as ${names.photos}, or an identity scale of 0`,
      { field: names.photos },
    );
  }
  const sources = await readSources(
    { ...given.sources, ...own.sources },
    photos,
  );
  const context = { sources, hasPerson: person !== null, model };
  const settings = inItsNames(
    () => checkJobSettings({ ...given.settings, ...own.settings }, context),
    own,
    names,
  );
  return { settings, person, sources, format, preview, modelHash: model.hash };
}

/** Checks options; a fault names the field that the option is from. */
function inItsNames<T>(
  check: () => T,
  { settings }: OwnFields,
  { options }: FieldNames,
): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    const [, name, what] = /^Option (\w+) (.*)$/s.exec(error.message) ?? [];
    if (name === undefined) throw error;
    const option = name as keyof Settings;
    const theirs = options[option];
    if (option in settings) throw badField(`masterweaver.${option}`, what);
    if (theirs === undefined) throw badField(option, what);
    throw new ApiError(
      400,
      "bad-request",
      `Field ${theirs} (${option}) ${what}`,
      { field: theirs },
    );
  }
}

/**
 * Takes jobs in, all or none.
 *
 * @param name of the operation, for the log
 * @throws {ApiError} 503 `queue-full`, `shutting-down`
 */
export async function submit(
  studio: Studio,
  { name, client }: { readonly name: string; readonly client: string },
  requests: readonly JobRequest[],
): Promise<Job[]> {
  const jobs: Job[] = [];
  try {
    for (const request of requests) {
      const job = new Job(client, request);
      await studio.queue.add(job);
      studio.jobs.add(job);
      studio.log(name, job);
      jobs.push(job);
    }
  } catch (error) {
    for (const job of jobs) {
      await studio.queue.cancel(job, "Another job of the request was refused");
    }
    throw error;
  }
  return jobs;
}

async function photosOf(
  { photos: given }: OwnFields,
  { maxReferences }: ModelResource,
  names: FieldNames,
): Promise<Photo[]> {
  if (maxReferences === 0 && given.length > 0) {
    throw badField(
      names.photos,
      "cannot be used: this server's model follows no identities; leave the photos out, or serve a model with an identity adapter",
    );
  }
  if (given.length > maxReferences) {
    throw badField(
      names.photos,
      `has ${given.length} reference photos, this model takes ${maxReferences}`,
    );
  }
  return await readPhotos(given);
}

function personOf(
  studio: Studio,
  { identity, choices }: OwnFields,
  photos: readonly Photo[],
  names: FieldNames,
): Person | EncodedIdentity | null {
  if (identity !== undefined) {
    if (photos.length === 0) return studio.identities.get(identity);
    throw badField(
      names.photos,
      "and an identity were given: give one of them",
    );
  }
  if (photos.length === 0) return null;
  const person = { photos, choices };
  checkPerson(person, studio.queue.model);
  return person;
}
