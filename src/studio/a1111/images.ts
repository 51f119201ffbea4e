/**
 * `txt2img` and `img2img`: a job for each image, so that each has a seed of its own as
 * it has there, and one answer with all of them.
 *
 * @module
 */
import type { Studio } from "../api/studio.ts";
import { answerWhenEnded } from "../compatible/ended.ts";
import { requestOf, submit } from "../compatible/order.ts";
import type { Sources } from "../engine/engine.ts";
import { ApiError } from "../errors.ts";
import type { ApiRequest } from "../http/operation.ts";
import type { JobRequest } from "../jobs/job.ts";
import type { Task as TaskName } from "./fields.ts";
import { infoOf, parametersOf } from "./info.ts";
import type { Reading } from "./img2img.ts";
import {
  fieldNames,
  readRequest,
  type TaskFields,
  type Wanted,
} from "./request.ts";
import { Task, type Tasks } from "./tasks.ts";

/** An operation that makes images. */
export interface ImageOperation {
  /** Which. */
  readonly name: TaskName;
  /** What clients' requests are doing. */
  readonly tasks: Tasks;
  /** Milliseconds between signs of life. */
  readonly period: number;
}

/** Answers a request once its images are there. */
export async function makeImages(
  studio: Studio,
  { name, tasks, period }: ImageOperation,
  { body, client, signal }: ApiRequest,
): Promise<Response> {
  const fields = body as TaskFields;
  const { queue } = studio;
  const { model } = queue;
  const here = { model, extras: await queue.extras() };
  const wanted = readRequest(name, fields, here);
  const requests = await requestsOf(studio, wanted);
  const task = new Task(await submit(studio, { name, client }, requests));
  tasks.add(client, task);
  const wait = { jobs: task.jobs, signal, period };
  return await answerWhenEnded(studio, wait, () => {
    if (task.failure) throw task.failure;
    const done = task.jobs.filter(({ state }) => state === "done");
    const images = fields.send_images === false
      ? []
      : done.flatMap(({ images }) => images);
    return {
      images: images.map(({ bytes }) => bytes.toBase64()),
      parameters: parametersOf(name, fields, wanted),
      info: JSON.stringify(infoOf(task, done, wanted, model)),
    };
  });
}

async function requestsOf(
  studio: Studio,
  { settings, sources, places, reading, own, format, ...counts }: Wanted,
): Promise<JobRequest[]> {
  const given = await inItsPlaces(places, own, () =>
    requestOf(studio, {
      settings,
      sources,
      own,
      format,
      preview: studio.queue.model.previews,
    }, { photos: "masterweaver.references", options: fieldNames }));
  const first = {
    ...given,
    sources: readSo(given, { ...reading, ...notOurs(own.sources) }),
  };
  const { seed } = first.settings;
  return Array.from({ length: counts.batchSize * counts.batches }, (_, i) => ({
    ...first,
    settings: { ...first.settings, seed: seedAfter(seed, i) },
  }));
}

/** Checks files; a fault names the field that the file is from. */
async function inItsPlaces<T>(
  places: Wanted["places"],
  { sources }: Wanted["own"],
  check: () => Promise<T>,
): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { status, code, message, more } = error;
    const { field = "" } = more;
    const [ours] = field.split(".");
    if (!Object.hasOwn(places, field) || ours in sources) throw error;
    const place = places[field];
    const text = message.replace(field, () => place);
    throw new ApiError(status, code, text, { ...more, field: place });
  }
}

/** Files in our own fields are read as they are. */
function notOurs({ initImage, mask }: Wanted["own"]["sources"]): Reading {
  return {
    ...initImage !== undefined && { fit: undefined },
    ...mask !== undefined && { mask: undefined },
  };
}

/** A job's files with how they are to be read. */
function readSo(
  { sources, settings: { width, height } }: JobRequest,
  reading: Reading,
): Sources {
  const { initImage, mask } = sources;
  const fit = reading.fit && { by: reading.fit, width, height };
  return {
    ...sources,
    ...initImage && fit && { initImage: { ...initImage, reading: { fit } } },
    ...mask && reading.mask && {
      mask: { ...mask, reading: { mask: reading.mask, fit } },
    },
  };
}

/** Beyond what a number holds it is a bigint, and after the largest comes 0. */
function seedAfter(seed: number | bigint, i: number): number | bigint {
  if (i === 0) return seed;
  const sum = BigInt(seed) + BigInt(i);
  const number = Number(sum);
  return Number.isSafeInteger(number) ? number : BigInt.asUintN(64, sum);
}
