/**
 * Reads a request of AUTOMATIC1111's `txt2img` or `img2img`: checks what would change
 * the image, and fills in that program's defaults.
 *
 * @module
 */
import { compositionWarnings } from "../../options/other_program_warnings.ts";
import type { Settings } from "../../options/settings.ts";
import type { SourceFields } from "../api/sources.ts";
import type { OwnFields } from "../compatible/own_fields.ts";
import type { ExtrasResource, ModelResource } from "../wire/resources.ts";
import { readUnits } from "./controlnet.ts";
import {
  knownFields,
  MOST_IMAGES,
  refusedFields,
  type Task,
} from "./fields.ts";
import { type HiresFields, readHires } from "./hires.ts";
import { type Img2ImgFields, readImg2Img, type Reading } from "./img2img.ts";
import { readOptions } from "./options.ts";
import { readSampler } from "./samplers.ts";
import { readScripts } from "./scripts.ts";
import { badField } from "../errors.ts";

/** A request that passed its schema; null stands for a field that is left out. */
export interface TaskFields extends HiresFields, Img2ImgFields {
  /** Of the first image; −1 for any. */
  readonly seed?: number | null;
  /** Denoising steps. */
  readonly steps?: number | null;
  /** How strongly the prompt is followed. */
  readonly cfg_scale?: number | null;
  /** Images of a batch. */
  readonly batch_size?: number | null;
  /** Batches. */
  readonly n_iter?: number | null;
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
  /** Settings of the first image; each other has a seed that is one more than the last. */
  readonly settings: Partial<Settings> & Pick<Settings, "prompt" | "seed">;
  /** What the images are made from. */
  readonly sources: SourceFields;
  /** Where files are in the request, by our fields' names. */
  readonly places: Readonly<Record<string, string>>;
  /** How the files among that are read. */
  readonly reading: Reading;
  /** Images of a batch. */
  readonly batchSize: number;
  /** Batches. */
  readonly batches: number;
  /** The format of the images' files. */
  readonly format: "png" | "jpeg";
  /** Our own options, and reference photos. */
  readonly own: OwnFields;
  /** What was done differently than asked. */
  readonly warnings: readonly string[];
}

/** What this server has. */
export interface Here {
  /** The model. */
  readonly model: ModelResource;
  /** The extra files. */
  readonly extras: ExtrasResource;
}

/** That program's own defaults. */
const STEPS = 50, CFG_SCALE = 7;

/** What that program calls settings, where its names differ. */
export const fieldNames: Readonly<Partial<Record<keyof Settings, string>>> = {
  negativePrompt: "negative_prompt",
  guidanceScale: "cfg_scale",
  clipSkip: "override_settings.CLIP_stop_at_last_layers",
  decoder: "override_settings.sd_vae_decode_method",
  strength: "denoising_strength",
  maskBlur: "mask_blur",
  maskPadding: "inpaint_full_res_padding",
  hiresScale: "hr_scale",
  hiresWidth: "hr_resize_x",
  hiresHeight: "hr_resize_y",
  hiresUpscaler: "hr_upscaler",
  hiresStrength: "denoising_strength",
  hiresSteps: "hr_second_pass_steps",
};

/**
 * Reads a request.
 *
 * @throws {ApiError} 400 `bad-request` naming the field, 404 `not-found` for another model
 */
export function readRequest(
  task: Task,
  fields: TaskFields,
  { model, extras }: Here,
): Wanted {
  checkRefused(task, fields);
  const options = readOptions(
    fields.override_settings ?? {},
    model,
    "override_settings.",
  );
  const steps = fields.steps ?? STEPS;
  const { own, units } = readScripts(fields);
  const start = task === "img2img" ? readImg2Img(fields) : undefined;
  const { upscalers, controlnets } = extras;
  const hires = task === "txt2img"
    ? readHires(fields, { model, upscalers, steps, options })
    : {};
  const { width, height } = fields;
  const controls = readUnits(units, {
    names: controlnets,
    initImage: start?.initImage,
    onlyMasked: start?.settings.onlyMasked === true,
    hasHires: fields.enable_hr === true,
    size: { width: width ?? model.size.own, height: height ?? model.size.own },
  });
  const { rng } = options;
  return {
    settings: {
      prompt: fields.prompt ?? "",
      negativePrompt: fields.negative_prompt ?? "",
      promptSyntax: "a1111",
      seed: seedOf(fields.seed),
      steps,
      guidanceScale: fields.cfg_scale ?? CFG_SCALE,
      ...width != null && { width },
      ...height != null && { height },
      ...rng !== undefined && { rng },
      ...readSampler(fields, options),
      ...options.settings,
      ...start?.settings,
      ...hires,
      ...controls.settings,
    },
    sources: {
      ...controls.sources,
      ...start && { initImage: start.initImage, mask: start.mask },
    },
    places: {
      initImage: "init_images.0",
      ...Object.fromEntries(
        controls.places.map((place, i) => [`controlImage.${i}`, place]),
      ),
    },
    reading: start?.reading ?? {},
    ...countsOf(fields),
    format: options.format,
    own,
    warnings: [
      ...warningsOf(task, fields, options.unknown),
      ...controls.warnings,
    ],
  };
}

function checkRefused(task: Task, fields: TaskFields): void {
  const given: Readonly<Record<string, unknown>> = { ...fields };
  for (const [name, { is, only }] of Object.entries(refusedFields(task))) {
    if (given[name] == null || is(given[name])) continue;
    throw badField(name, `is not supported here, except as ${only}`);
  }
}

function countsOf(
  { batch_size, n_iter }: TaskFields,
): Pick<Wanted, "batchSize" | "batches"> {
  const batchSize = batch_size ?? 1, batches = n_iter ?? 1;
  if (batchSize * batches <= MOST_IMAGES) return { batchSize, batches };
  throw badField(
    "batch_size",
    `times n_iter is ${
      batchSize * batches
    }, a request may have ${MOST_IMAGES} images`,
  );
}

/** A random one for −1, as there: 32 bits. */
function seedOf(seed: number | null | undefined): number {
  return seed == null || seed === -1
    ? crypto.getRandomValues(new Uint32Array(1))[0]
    : seed;
}

function warningsOf(
  task: Task,
  fields: TaskFields,
  options: readonly string[],
): string[] {
  const known = knownFields(task);
  const unknown = [
    ...Object.keys(fields).filter((name) => !known.has(name)),
    ...options.map((name) => `override_settings.${name}`),
  ].slice(0, 12).map((name) => name.slice(0, 60));
  const { prompt, negative_prompt, save_images } = fields;
  return [
    ...unknown.length > 0 ? [`Not known here: ${unknown.join(", ")}`] : [],
    ...save_images ? ["This server saves no images"] : [],
    ...compositionWarnings([prompt ?? "", negative_prompt ?? ""]),
  ];
}
