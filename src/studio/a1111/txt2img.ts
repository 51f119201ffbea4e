/**
 * `txt2img`: a job for each image, so that each has a seed of its own as it has
 * there, and one answer with all of them.
 *
 * @module
 */
import { version } from "../../base/version.ts";
import { withoutUndefined } from "../../options/options.ts";
import { SAMPLER, toParameters } from "../../options/parameters_text.ts";
import { isLeftOut } from "../../options/settings_text.ts";
import { optionsOf } from "../../options/table.ts";
import type { Studio } from "../api/studio.ts";
import { answerWhenEnded, failureOf } from "../compatible/ended.ts";
import { requestOf, submit } from "../compatible/order.ts";
import type { ApiRequest } from "../http/operation.ts";
import type { Job, JobRequest } from "../jobs/job.ts";
import type { ModelResource } from "../wire/resources.ts";
import { knownFields } from "./fields.ts";
import { SCRIPT } from "./listings.ts";
import { readTxt2Img, type Txt2ImgFields, type Wanted } from "./request.ts";
import { pngInfo } from "./png_info.ts";
import { timestamp } from "./progress.ts";
import { Task, type Tasks } from "./tasks.ts";

/**
 * Answers a request once its images are there.
 *
 * @param period milliseconds between signs of life
 */
export async function txt2img(
  studio: Studio,
  tasks: Tasks,
  { body, client, signal }: ApiRequest,
  period: number,
): Promise<Response> {
  const fields = body as Txt2ImgFields;
  const { model } = studio.queue;
  const wanted = readTxt2Img(fields, model);
  const requests = await requestsOf(studio, wanted);
  const task = new Task(
    await submit(studio, { name: "txt2img", client }, requests),
  );
  tasks.add(client, task);
  const wait = { jobs: task.jobs, signal, period };
  return await answerWhenEnded(studio, wait, () => {
    const failure = firstFailure(task);
    if (failure) throw failure;
    const done = task.jobs.filter(({ state }) => state === "done");
    const images = fields.send_images === false
      ? []
      : done.flatMap(({ images }) => images);
    return {
      images: images.map(({ bytes }) => bytes.toBase64()),
      parameters: parametersOf(fields, wanted),
      info: JSON.stringify(infoOf(task, done, wanted, model)),
    };
  });
}

async function requestsOf(
  studio: Studio,
  wanted: Wanted,
): Promise<JobRequest[]> {
  const { own, format, batchSize, batches } = wanted;
  const { prompt, negativePrompt, steps, guidanceScale, width, height, rng } =
    wanted;
  const first = await requestOf(studio, {
    settings: {
      prompt,
      negativePrompt,
      seed: wanted.seed,
      steps,
      guidanceScale,
      ...withoutUndefined({ width, height, rng }),
    },
    own,
    format,
    preview: studio.queue.model.previews,
  }, {
    photos: "masterweaver.references",
    options: { negativePrompt: "negative_prompt", guidanceScale: "cfg_scale" },
  });
  const { seed } = first.settings;
  return Array.from({ length: batchSize * batches }, (_, i) => ({
    ...first,
    settings: { ...first.settings, seed: seedAfter(seed, i) },
  }));
}

/** Beyond what a number holds it is a bigint, and after the largest comes 0. */
function seedAfter(seed: number | bigint, i: number): number | bigint {
  if (i === 0) return seed;
  const sum = BigInt(seed) + BigInt(i);
  const number = Number(sum);
  return Number.isSafeInteger(number) ? number : BigInt.asUintN(64, sum);
}

/** Why there are no images; what the client stopped is no failure. */
function firstFailure({ jobs, interrupted, skipped }: Task): Error | undefined {
  const isStopped = interrupted || skipped > 0;
  return jobs
    .filter(({ state }) => state !== "cancelled" || !isStopped)
    .map(failureOf)
    .find((failure) => failure !== undefined);
}

/** The request with defaults, less the photos and what is not known here. */
function parametersOf(
  fields: Txt2ImgFields,
  { prompt, negativePrompt, steps, guidanceScale, batchSize, batches }: Wanted,
): Readonly<Record<string, unknown>> {
  const known = Object.entries(fields).filter(([name]) =>
    knownFields.has(name) && name !== SCRIPT
  );
  return {
    ...Object.fromEntries(known),
    prompt,
    negative_prompt: negativePrompt,
    steps,
    cfg_scale: guidanceScale,
    batch_size: batchSize,
    n_iter: batches,
    alwayson_scripts: {},
  };
}

function infoOf(
  { jobs, interrupted }: Task,
  done: readonly Job[],
  { batchSize, warnings }: Wanted,
  model: ModelResource,
): Readonly<Record<string, unknown>> {
  const [{ createdAt, request: { settings } }] = jobs;
  const { prompt, negativePrompt, width, height } = settings;
  const seeds = jobs.map(({ request }) => jsonSeed(request.settings.seed));
  return {
    prompt,
    all_prompts: jobs.map(() => prompt),
    negative_prompt: negativePrompt,
    all_negative_prompts: jobs.map(() => negativePrompt),
    seed: seeds[0],
    all_seeds: seeds,
    subseed: seeds[0],
    all_subseeds: seeds,
    subseed_strength: 0,
    width,
    height,
    sampler_name: settings.sampler ?? SAMPLER,
    cfg_scale: settings.guidanceScale,
    steps: settings.steps,
    batch_size: batchSize,
    restore_faces: false,
    face_restoration_model: null,
    sd_model_name: model.name,
    sd_model_hash: model.hash.slice(0, 10),
    sd_vae_name: null,
    sd_vae_hash: null,
    seed_resize_from_w: -1,
    seed_resize_from_h: -1,
    denoising_strength: null,
    extra_generation_params: {},
    index_of_first_image: 0,
    infotexts: done.map((job) => infotext(job, model)),
    styles: [],
    job_timestamp: timestamp(createdAt),
    clip_skip: 1,
    is_using_inpainting_conditioning: false,
    version: `masterweaver ${version}`,
    interrupted,
    warnings: [
      ...warnings,
      ...new Set(jobs.flatMap((job) => job.resource().warnings)),
    ],
  };
}

/** The text inside the image's file; what it would be where there is none. */
function infotext({ images, request }: Job, model: ModelResource): string {
  const { info } = pngInfo(images[0].bytes);
  if (info !== "") return info;
  const values: Readonly<Record<string, unknown>> = { ...request.settings };
  const chunks = optionsOf("image").flatMap((option) => {
    const { key, name } = option;
    const value = values[name];
    const isAbsent = key === undefined || value === undefined ||
      isLeftOut(option, value);
    return isAbsent ? [] : [[key, String(value)]];
  });
  return toParameters({
    ...Object.fromEntries(chunks),
    model: model.name,
    model_hash: model.hash,
    software: `masterweaver ${version}`,
  });
}

/** A seed that a JSON number cannot hold is a text. */
function jsonSeed(seed: number | bigint): number | string {
  const number = Number(seed);
  return Number.isSafeInteger(number) ? number : String(seed);
}
