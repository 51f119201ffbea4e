/**
 * Reads a request of AUTOMATIC1111's `txt2img`: checks what would change the
 * image, and fills in that program's defaults.
 *
 * @module
 */
import { plainWordWarnings } from "../../options/other_program_warnings.ts";
import { SAMPLER } from "../../options/parameters_text.ts";
import type { Rng } from "../../options/settings.ts";
import { badField, type OwnFields } from "../compatible/own_fields.ts";
import type { ModelResource } from "../wire/resources.ts";
import { knownFields, MOST_IMAGES, refusedFields } from "./fields.ts";
import { readOptions } from "./options.ts";
import { ownFieldsOf } from "./scripts.ts";

/** A request that passed its schema; null stands for a field that is left out. */
export interface Txt2ImgFields {
  /** What the images show. */
  readonly prompt?: string | null;
  /** What they should not show. */
  readonly negative_prompt?: string | null;
  /** Of the first image; −1 for any. */
  readonly seed?: number | null;
  /** Denoising steps. */
  readonly steps?: number | null;
  /** How strongly the prompt is followed. */
  readonly cfg_scale?: number | null;
  /** Columns. */
  readonly width?: number | null;
  /** Rows. */
  readonly height?: number | null;
  /** Images of a batch. */
  readonly batch_size?: number | null;
  /** Batches. */
  readonly n_iter?: number | null;
  /** The sampler's name. */
  readonly sampler_name?: string | null;
  /** Its older name, which counts where there is no other. */
  readonly sampler_index?: string | null;
  /** The schedule of the steps. */
  readonly scheduler?: string | null;
  /** Options for this request alone. */
  readonly override_settings?: Readonly<Record<string, unknown>> | null;
  /** Whether the answer has the images. */
  readonly send_images?: boolean | null;
  /** Whether the server keeps the images, which it does not. */
  readonly save_images?: boolean | null;
  /** Arguments by script. */
  readonly alwayson_scripts?: Readonly<Record<string, unknown>> | null;
  /** Our own options. */
  readonly masterweaver?: unknown;
}

/** What a request asks for, defaults filled in. */
export interface Wanted {
  /** What the images show. */
  readonly prompt: string;
  /** What they should not show. */
  readonly negativePrompt: string;
  /** Of the first image; each other has one more than the last. */
  readonly seed: number;
  /** Denoising steps. */
  readonly steps: number;
  /** How strongly the prompt is followed. */
  readonly guidanceScale: number;
  /** Columns; the model's own where undefined. */
  readonly width?: number;
  /** Rows; the model's own where undefined. */
  readonly height?: number;
  /** Images of a batch. */
  readonly batchSize: number;
  /** Batches. */
  readonly batches: number;
  /** Whose noise the seed reproduces. */
  readonly rng?: Rng;
  /** The format of the images' files. */
  readonly format: "png" | "jpeg";
  /** Our own options, and reference photos. */
  readonly own: OwnFields;
  /** What was done differently than asked. */
  readonly warnings: readonly string[];
}

/** That program's own defaults. */
const defaults = { steps: 50, cfg_scale: 7 };

/**
 * Reads a request.
 *
 * @throws {ApiError} 400 `bad-request` naming the field, 404 `not-found` for another model
 */
export function readTxt2Img(
  fields: Txt2ImgFields,
  model: ModelResource,
): Wanted {
  const given: Readonly<Record<string, unknown>> = { ...fields };
  for (const [name, { is, only }] of Object.entries(refusedFields)) {
    if (given[name] == null || is(given[name])) continue;
    throw badField(name, `is not supported here, except as ${only}`);
  }
  checkSampler(fields);
  const { prompt, negative_prompt, width, height } = fields;
  const options = readOptions(
    fields.override_settings ?? {},
    model,
    "override_settings.",
  );
  const batchSize = fields.batch_size ?? 1, batches = fields.n_iter ?? 1;
  if (batchSize * batches > MOST_IMAGES) {
    throw badField(
      "batch_size",
      `times n_iter is ${
        batchSize * batches
      }, a request may have ${MOST_IMAGES} images`,
    );
  }
  return {
    prompt: prompt ?? "",
    negativePrompt: negative_prompt ?? "",
    seed: seedOf(fields.seed),
    steps: fields.steps ?? defaults.steps,
    guidanceScale: fields.cfg_scale ?? defaults.cfg_scale,
    width: width ?? undefined,
    height: height ?? undefined,
    batchSize,
    batches,
    rng: options.rng,
    format: options.format,
    own: ownFieldsOf(fields),
    warnings: warningsOf(fields, options.unknown),
  };
}

/** Any other sampler gives another image: it is refused, not replaced. */
function checkSampler(
  { sampler_name, sampler_index, scheduler }: Txt2ImgFields,
): void {
  const [field, sampler] = sampler_name
    ? ["sampler_name", sampler_name]
    : ["sampler_index", sampler_index];
  if (sampler && sampler.toUpperCase() !== SAMPLER) {
    throw badField(
      field,
      `must be ${SAMPLER}, the only sampler here, got ${sampler.slice(0, 40)}`,
    );
  }
  const same = ["automatic", "ddim", "uniform", "use same scheduler"];
  if (scheduler && !same.includes(scheduler.toLowerCase())) {
    throw badField(
      "scheduler",
      `must be automatic, got ${scheduler.slice(0, 40)}`,
    );
  }
}

/** A random one for −1, as there: 32 bits. */
function seedOf(seed: number | null | undefined): number {
  return seed == null || seed === -1
    ? crypto.getRandomValues(new Uint32Array(1))[0]
    : seed;
}

function warningsOf(
  fields: Txt2ImgFields,
  options: readonly string[],
): string[] {
  const unknown = [
    ...Object.keys(fields).filter((name) => !knownFields.has(name)),
    ...options.map((name) => `override_settings.${name}`),
  ].slice(0, 12).map((name) => name.slice(0, 60));
  const { prompt, negative_prompt, save_images } = fields;
  return [
    ...unknown.length > 0 ? [`Not known here: ${unknown.join(", ")}`] : [],
    ...save_images ? ["This server saves no images"] : [],
    ...plainWordWarnings([prompt ?? "", negative_prompt ?? ""]),
  ];
}
