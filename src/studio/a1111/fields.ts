/**
 * The fields of AUTOMATIC1111's `txt2img`: which are used, which change nothing
 * here, and which are refused unless they change nothing.
 *
 * @module
 */
import type { JsonSchema } from "../../options/types.ts";
import { MAX_PROMPT, ownFieldsSchema } from "../compatible/own_fields.ts";
import type { ModelResource } from "../wire/resources.ts";

const text = { type: ["string", "null"] };
const whole = { type: ["integer", "null"] };
const number = { type: ["number", "null"] };
const flag = { type: ["boolean", "null"] };
const object = { type: ["object", "null"] };
const list = { type: ["array", "null"] };

/** The most images of a request. */
export const MOST_IMAGES = 16;

const count = { ...whole, minimum: 1, maximum: MOST_IMAGES };

/** Fields that are used. */
const used: Readonly<Record<string, JsonSchema>> = {
  prompt: { ...text, maxLength: MAX_PROMPT },
  negative_prompt: { ...text, maxLength: MAX_PROMPT },
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
  sampler_name: text,
  sampler_index: text,
  scheduler: text,
  override_settings: object,
  send_images: flag,
  save_images: flag,
  alwayson_scripts: object,
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
const empty: Neutral = { schema: text, is: isNothing, only: "empty" };

/** Fields that would change the image, and are not done here. */
export const refusedFields: Readonly<Record<string, Neutral>> = {
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

/** Every field that something is known of. */
export const knownFields: ReadonlySet<string> = new Set([
  ...Object.keys(used),
  ...Object.keys(refusedFields),
  ...ignored,
  "masterweaver",
]);

/** Describes a request, for the check and the OpenAPI document. */
export function txt2imgSchema({ size }: ModelResource): JsonSchema {
  return {
    type: "object",
    properties: {
      ...used,
      masterweaver: ownFieldsSchema(size),
      ...Object.fromEntries(
        Object.entries(refusedFields).map(([name, { schema, only }]) => [
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
