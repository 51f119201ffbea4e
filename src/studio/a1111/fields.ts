/**
 * The fields of AUTOMATIC1111's `txt2img` and `img2img`: which are used, which change
 * nothing here, and which are refused unless they change nothing.
 *
 * @module
 */
import type { JsonSchema } from "../../options/types.ts";
import { photoSchema } from "../api/photos.ts";
import { MAX_PROMPT, ownFieldsSchema } from "../compatible/own_fields.ts";
import type { ModelResource } from "../wire/resources.ts";

const text = { type: ["string", "null"] };
const whole = { type: ["integer", "null"] };
const number = { type: ["number", "null"] };
const flag = { type: ["boolean", "null"] };
const object = { type: ["object", "null"] };
const list = { type: ["array", "null"] };
const prompt = { ...text, maxLength: MAX_PROMPT };
const share = { ...number, minimum: 0, maximum: 1 };
/** A flag that clients also send as 0 or 1. */
const bit = { enum: [true, false, 0, 1, null] };

/** The most images of a request. */
export const MOST_IMAGES = 16;

const count = { ...whole, minimum: 1, maximum: MOST_IMAGES };

/** What an operation makes images from: words alone, or an image, too. */
export type Task = "txt2img" | "img2img";

/** Fields that are used. */
const used: Readonly<Record<string, JsonSchema>> = {
  prompt,
  negative_prompt: prompt,
  seed: {
    ...whole,
    description: "-1 for any; a larger one as a text in `masterweaver.seed`",
    minimum: Number.MIN_SAFE_INTEGER,
    maximum: Number.MAX_SAFE_INTEGER,
  },
  steps: whole,
  cfg_scale: number,
  width: whole,
  height: whole,
  batch_size: count,
  n_iter: count,
  sampler_name: {
    ...text,
    description: "Euler where not given; `samplers` lists them",
  },
  sampler_index: { ...text, description: "The same as `sampler_name`" },
  scheduler: { ...text, description: "As `schedulers` lists them" },
  eta: number,
  override_settings: object,
  send_images: flag,
  save_images: flag,
  alwayson_scripts: object,
};

/** Fields that are used by one of the operations. */
const usedBy: Readonly<Record<Task, Readonly<Record<string, JsonSchema>>>> = {
  txt2img: {
    enable_hr: { ...flag, description: "A second, larger pass" },
    hr_scale: number,
    hr_resize_x: { ...whole, minimum: 0 },
    hr_resize_y: { ...whole, minimum: 0 },
    hr_upscaler: {
      ...text,
      description:
        "Latent where not given; Latent (antialiased) is the same, and `upscalers` lists others",
    },
    hr_second_pass_steps: {
      ...whole,
      minimum: 0,
      description: "Steps that the second pass runs; 0 for as many",
    },
    denoising_strength: {
      ...share,
      description: "Of the second pass; 0.75 where not given",
    },
    hr_checkpoint_name: text,
    hr_sampler_name: text,
    hr_scheduler: text,
    hr_prompt: prompt,
    hr_negative_prompt: prompt,
    firstphase_width: whole,
    firstphase_height: whole,
  },
  img2img: {
    init_images: {
      ...list,
      items: photoSchema,
      description: "The image to start from, and no other",
    },
    resize_mode: {
      ...whole,
      description: "0 resizes, 1 crops, 2 fills what is missing",
    },
    denoising_strength: {
      ...share,
      description: "The share of the steps that is run; 0.75 where not given",
    },
    mask: {
      ...photoSchema,
      type: ["string", "null"],
      description: "What is repainted: what is white, or not transparent",
    },
    mask_blur: { ...whole, minimum: 0 },
    mask_blur_x: { ...whole, minimum: 0 },
    mask_blur_y: { ...whole, minimum: 0 },
    inpainting_fill: {
      ...whole,
      minimum: 0,
      maximum: 3,
      description:
        "Under the mask: 0 the colours around it, 1 the original, 2 noise, 3 nothing",
    },
    inpaint_full_res: {
      ...bit,
      description:
        "Make the region around the mask alone, in full size; true where not given",
    },
    inpaint_full_res_padding: { ...whole, minimum: 0 },
    inpainting_mask_invert: bit,
    include_init_images: flag,
  },
};

/** A field that would change the image, and when it does not. */
export interface Neutral {
  /** What it may be. */
  readonly schema: JsonSchema;
  /** Whether a value changes nothing. */
  readonly is: (value: unknown) => boolean;
  /** Such a value, in words. */
  readonly only: string;
}

const isNothing = (value: unknown) =>
  value === 0 || value === "" || value === "None" || value === false ||
  (Array.isArray(value) && value.length === 0);
const off: Neutral = { schema: flag, is: isNothing, only: "false" };
const zero: Neutral = { schema: number, is: isNothing, only: "0" };
const one: Neutral = { schema: number, is: (value) => value === 1, only: "1" };
const empty: Neutral = { schema: text, is: isNothing, only: "empty" };

/** Fields that would change the image, and are not done here. */
const refused: Readonly<Record<string, Neutral>> = {
  tiling: off,
  restore_faces: off,
  disable_extra_networks: off,
  subseed_strength: zero,
  seed_resize_from_h: { ...zero, is: (value) => Number(value) <= 0 },
  seed_resize_from_w: { ...zero, is: (value) => Number(value) <= 0 },
  s_min_uncond: zero,
  s_churn: zero,
  s_noise: one,
  refiner_checkpoint: empty,
  firstpass_image: empty,
  infotext: empty,
  script_name: empty,
  styles: { schema: list, is: isNothing, only: "an empty list" },
};
const refusedBy: Readonly<Record<Task, Readonly<Record<string, Neutral>>>> = {
  txt2img: {},
  img2img: {
    enable_hr: off,
    latent_mask: empty,
    initial_noise_multiplier: one,
    mask_round: { schema: flag, is: (value) => value === true, only: "true" },
  },
};

/** Fields that change nothing: for what is refused, for other models, or files. */
const ignored = [
  "refiner_switch_at",
  "subseed",
  "s_tmax",
  "s_tmin",
  "do_not_save_samples",
  "do_not_save_grid",
  "override_settings_restore_afterwards",
  "comments",
  "script_args",
  "force_task_id",
];
const ignoredBy: Readonly<Record<Task, readonly string[]>> = {
  txt2img: [],
  // It is for models that edit images by instructions.
  img2img: ["image_cfg_scale"],
};

/** Fields that would change the image, and are not done here. */
export function refusedFields(task: Task): Readonly<Record<string, Neutral>> {
  return { ...refused, ...refusedBy[task] };
}

/** Every field that something is known of. */
export function knownFields(task: Task): ReadonlySet<string> {
  return new Set([
    ...Object.keys(used),
    ...Object.keys(usedBy[task]),
    ...Object.keys(refusedFields(task)),
    ...ignored,
    ...ignoredBy[task],
    "masterweaver",
  ]);
}

/** Describes a request, for the check and the OpenAPI document. */
export function taskSchema(task: Task, { size }: ModelResource): JsonSchema {
  return {
    type: "object",
    properties: {
      ...used,
      ...usedBy[task],
      masterweaver: ownFieldsSchema(size),
      ...Object.fromEntries(
        Object.entries(refusedFields(task)).map(([name, { schema, only }]) => [
          name,
          { ...schema, description: `Not supported: ${only} only` },
        ]),
      ),
      ...Object.fromEntries(
        [...ignored, ...ignoredBy[task]].map((name) => [
          name,
          { description: "Not used" },
        ]),
      ),
    },
    // As there: what a client knows from an extension is no error.
    additionalProperties: true,
  };
}
