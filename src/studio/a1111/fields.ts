/**
 * The fields of AUTOMATIC1111's `txt2img`: which are used, which change nothing
 * here, and which are refused unless they change nothing.
 *
 * @module
 */
import { plainWordWarnings } from "../../options/other_program_warnings.ts";
import { SAMPLER } from "../../options/parameters_text.ts";
import type { Rng } from "../../options/settings.ts";
import type { JsonSchema } from "../../options/types.ts";
import { type OwnFields, ownFieldsSchema } from "../compatible/own_fields.ts";
import type { ModelResource } from "../wire/resources.ts";
import { badField } from "./errors.ts";
import { readOptions } from "./options.ts";
import { ownFieldsOf } from "./scripts.ts";

/** A request that passed its schema; null stands for a field that is left out. */
export interface Txt2ImgFields {
  readonly prompt?: string | null;
  readonly negative_prompt?: string | null;
  readonly seed?: number | null;
  readonly steps?: number | null;
  readonly cfg_scale?: number | null;
  readonly width?: number | null;
  readonly height?: number | null;
  readonly batch_size?: number | null;
  readonly n_iter?: number | null;
  readonly sampler_name?: string | null;
  readonly sampler_index?: string | null;
  readonly scheduler?: string | null;
  readonly override_settings?: Readonly<Record<string, unknown>> | null;
  readonly send_images?: boolean | null;
  readonly save_images?: boolean | null;
  readonly alwayson_scripts?: Readonly<Record<string, unknown>> | null;
  readonly masterweaver?: unknown;
}

/** What a request asks for, defaults filled in. */
export interface Wanted {
  readonly prompt: string;
  readonly negativePrompt: string;
  /** Of the first image; each other has one more than the last. */
  readonly seed: number;
  readonly steps: number;
  readonly guidanceScale: number;
  /** The model's own where undefined. */
  readonly width?: number;
  readonly height?: number;
  readonly batchSize: number;
  readonly batches: number;
  readonly rng?: Rng;
  readonly format: "png" | "jpeg";
  readonly own: OwnFields;
  /** What was done differently than asked. */
  readonly warnings: readonly string[];
}

/** That program's own defaults. */
const defaults = { steps: 50, cfg_scale: 7 };
/** The most images of a request. */
const MOST_IMAGES = 16;

const text = { type: ["string", "null"] };
const whole = { type: ["integer", "null"] };
const number = { type: ["number", "null"] };
const flag = { type: ["boolean", "null"] };
const object = { type: ["object", "null"] };
const list = { type: ["array", "null"] };

/** Fields that are used. */
const used: Readonly<Record<string, JsonSchema>> = {
  prompt: text,
  negative_prompt: text,
  seed: whole,
  steps: whole,
  cfg_scale: number,
  width: whole,
  height: whole,
  batch_size: { ...whole, minimum: 1 },
  n_iter: { ...whole, minimum: 1 },
  sampler_name: text,
  sampler_index: text,
  scheduler: text,
  override_settings: object,
  send_images: flag,
  save_images: flag,
  alwayson_scripts: object,
};

/** A field that would change the image, and when it does not. */
interface Neutral {
  readonly schema: JsonSchema;
  readonly is: (value: unknown) => boolean;
  readonly only: string;
}

const isNothing = (value: unknown) =>
  value === 0 || value === "" || value === "None" || value === false ||
  (Array.isArray(value) && value.length === 0);
const off: Neutral = { schema: flag, is: isNothing, only: "false" };
const zero: Neutral = { schema: number, is: isNothing, only: "0" };
const empty: Neutral = { schema: text, is: isNothing, only: "empty" };

/** Fields that would change the image, and are not done here. */
const refused: Readonly<Record<string, Neutral>> = {
  enable_hr: off,
  tiling: off,
  restore_faces: off,
  subseed_strength: zero,
  seed_resize_from_h: { ...zero, is: (value) => Number(value) <= 0 },
  seed_resize_from_w: { ...zero, is: (value) => Number(value) <= 0 },
  s_min_uncond: zero,
  // Clients that fill in every field send 1, whatever the sampler.
  eta: { ...zero, is: (value) => value === 0 || value === 1 },
  refiner_checkpoint: empty,
  firstpass_image: empty,
  infotext: empty,
  script_name: empty,
  styles: { schema: list, is: isNothing, only: "an empty list" },
};

/** Fields that change nothing: for what is refused, other samplers, or files. */
const ignored = [
  "denoising_strength",
  "firstphase_width",
  "firstphase_height",
  "hr_scale",
  "hr_upscaler",
  "hr_second_pass_steps",
  "hr_resize_x",
  "hr_resize_y",
  "hr_checkpoint_name",
  "hr_sampler_name",
  "hr_scheduler",
  "hr_prompt",
  "hr_negative_prompt",
  "refiner_switch_at",
  "subseed",
  "s_churn",
  "s_tmax",
  "s_tmin",
  "s_noise",
  "do_not_save_samples",
  "do_not_save_grid",
  "override_settings_restore_afterwards",
  "disable_extra_networks",
  "comments",
  "script_args",
  "force_task_id",
];

/** Describes a request, for the check and the OpenAPI document. */
export function txt2imgSchema({ size }: ModelResource): JsonSchema {
  return {
    type: "object",
    properties: {
      ...used,
      masterweaver: ownFieldsSchema(size),
      ...Object.fromEntries(
        Object.entries(refused).map(([name, { schema, only }]) => [
          name,
          { ...schema, description: `Not supported: ${only} only` },
        ]),
      ),
      ...Object.fromEntries(
        ignored.map((name) => [name, { description: "Not used" }]),
      ),
    },
    // As there: what a client knows from an extension is no error.
    additionalProperties: true,
  };
}

/**
 * Reads a request.
 *
 * @throws {ApiError} 400 `bad-request` naming the field, 404 `not-found` for another model
 */
export async function readTxt2Img(
  fields: Txt2ImgFields,
  model: ModelResource,
): Promise<Wanted> {
  const given: Readonly<Record<string, unknown>> = { ...fields };
  for (const [name, { is, only }] of Object.entries(refused)) {
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
    own: await ownFieldsOf(fields),
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
  const known = new Set([
    ...Object.keys(used),
    ...Object.keys(refused),
    ...ignored,
    "masterweaver",
  ]);
  const unknown = [
    ...Object.keys(fields).filter((name) => !known.has(name)),
    ...options.map((name) => `override_settings.${name}`),
  ].slice(0, 12).map((name) => name.slice(0, 60));
  const { prompt, negative_prompt, save_images } = fields;
  return [
    ...unknown.length > 0 ? [`Not known here: ${unknown.join(", ")}`] : [],
    ...save_images ? ["This server saves no images"] : [],
    ...plainWordWarnings([prompt ?? "", negative_prompt ?? ""]),
  ];
}
