/**
 * Images that a request of another program's API asks for, as a job.
 *
 * @module
 */
import { encodePng } from "../../host/codecs/codec.ts";
import { checkSettings } from "../../options/options.ts";
import type { IdentityChoices, Settings } from "../../options/settings.ts";
import { checkedPhoto } from "../api/photos.ts";
import type { Studio } from "../api/studio.ts";
import type { EncodedIdentity, Person, Photo } from "../engine/engine.ts";
import { ApiError } from "../errors.ts";
import { Job, type JobRequest } from "../jobs/job.ts";

/** What is asked for, in the library's words. */
export interface Order {
  /** Settings of the images. */
  readonly settings: Partial<Settings> & { readonly prompt: string };
  /** Who they show; nobody in particular where there is no photo and no identity. */
  readonly photos: readonly Photo[];
  /** An identity that was encoded before, in place of photos. */
  readonly identity?: string;
  /** How the photos are looked at. */
  readonly choices: Partial<IdentityChoices>;
  /** The format of the images' files. */
  readonly format: "png" | "jpeg";
  /** Whether previews are wanted. */
  readonly preview: boolean;
}

/**
 * Checks an order against the model.
 *
 * @param field of the request that has the photos, for messages
 * @throws {MasterWeaverError} `bad-option`
 * @throws {ApiError} 400 `bad-request`, 404 `not-found`
 */
export async function requestOf(
  studio: Studio,
  order: Order,
  field: string,
): Promise<JobRequest> {
  const { model } = studio.queue;
  const person = await personOf(studio, order, field);
  const { idScale } = order.settings;
  const isNobody = person === await nobody();
  if (isNobody && idScale !== undefined && idScale > 0) {
    throw new ApiError(
      400,
      "bad-request",
      `An identity scale of ${idScale} needs a person: give reference photos as ${field}, or an identity scale of 0`,
      { field },
    );
  }
  const settings = checkSettings({
    ...order.settings,
    ...isNobody && { idScale: 0 },
  }, model.size);
  const { format, preview } = order;
  return { settings, person, format, preview, modelHash: model.hash };
}

/**
 * Takes jobs in, all or none.
 *
 * @throws {ApiError} 503 `queue-full`, `shutting-down`
 */
export async function submit(
  studio: Studio,
  client: string,
  requests: readonly JobRequest[],
): Promise<Job[]> {
  const jobs: Job[] = [];
  try {
    for (const request of requests) {
      const job = new Job(client, request);
      await studio.queue.add(job);
      studio.jobs.add(job);
      studio.log(`Job ${job.id} was taken in`, job);
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

async function personOf(
  studio: Studio,
  { photos, identity, choices }: Order,
  field: string,
): Promise<Person | EncodedIdentity> {
  if (identity !== undefined) {
    if (photos.length === 0) return studio.identities.get(identity);
    throw bad(field, "and an identity were given: give one of them");
  }
  const { maxReferences } = studio.queue.model;
  if (photos.length > maxReferences) {
    throw bad(
      field,
      `has ${photos.length} reference photos, this model takes ${maxReferences}`,
    );
  }
  return photos.length > 0 ? { photos, choices } : await nobody();
}

let black: Promise<Person> | undefined;

/**
 * Nobody in particular: a black photo, which at an identity scale of 0 does not
 * count, for the pipeline wants one. It is always the same, so it is encoded once.
 */
function nobody(): Promise<Person> {
  black ??= blackPhoto();
  return black;
}

async function blackPhoto(): Promise<Person> {
  const side = 64;
  const data = new Uint8ClampedArray(side * side * 4);
  for (let alpha = 3; alpha < data.length; alpha += 4) data[alpha] = 255;
  const png = encodePng({ width: side, height: side, data }, {});
  return {
    photos: [await checkedPhoto(png, "black")],
    choices: { align: false, parse: false },
  };
}

function bad(field: string, what: string): ApiError {
  return new ApiError(400, "bad-request", `Field ${field} ${what}`, { field });
}
