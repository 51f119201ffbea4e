/**
 * What AUTOMATIC1111's answers say about the images beside them.
 *
 * @module
 */
import { version } from "../../base/version.ts";
import { SAMPLER, toParameters } from "../../options/parameters_text.ts";
import { isLeftOut } from "../../options/settings_text.ts";
import { optionsOf } from "../../options/table.ts";
import type { Job } from "../jobs/job.ts";
import type { ModelResource } from "../wire/resources.ts";
import { knownFields, type Task as TaskName } from "./fields.ts";
import { SCRIPT } from "./listings.ts";
import { pngInfo } from "./png_info.ts";
import { timestamp } from "./progress.ts";
import type { TaskFields, Wanted } from "./request.ts";
import type { Task } from "./tasks.ts";

/** Fields with images, which answers repeat where they are asked to. */
const FILES = ["init_images", "mask"];

/** The request with defaults, less its files and what is not known here. */
export function parametersOf(
  name: TaskName,
  fields: TaskFields,
  { settings, batchSize, batches }: Wanted,
): Readonly<Record<string, unknown>> {
  const known = knownFields(name);
  const { negativePrompt, steps, guidanceScale, strength } = settings;
  return {
    ...Object.fromEntries(
      Object.entries(fields)
        .filter(([name]) => known.has(name) && name !== SCRIPT)
        .map(([name, value]) => {
          const isHidden = FILES.includes(name) && !fields.include_init_images;
          return [name, isHidden ? null : value];
        }),
    ),
    prompt: settings.prompt,
    negative_prompt: negativePrompt,
    steps,
    cfg_scale: guidanceScale,
    ...strength !== undefined && { denoising_strength: strength },
    batch_size: batchSize,
    n_iter: batches,
    alwayson_scripts: {},
  };
}

/** What is known of the images. */
export function infoOf(
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
    denoising_strength: settings.strength ?? settings.hiresStrength ?? null,
    extra_generation_params: {},
    index_of_first_image: 0,
    infotexts: done.map((job) => infotext(job, model)),
    styles: [],
    job_timestamp: timestamp(createdAt),
    clip_skip: settings.clipSkip,
    is_using_inpainting_conditioning: false,
    version: `masterweaver ${version}`,
    interrupted,
    warnings: [
      ...new Set([
        ...warnings,
        ...jobs.flatMap((job) => job.resource().warnings),
      ]),
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
