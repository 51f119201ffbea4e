/**
 * The second pass of AUTOMATIC1111's `txt2img`, its "Hires. fix".
 *
 * @module
 */
import type { Settings } from "../../options/settings.ts";
import type { ModelResource } from "../wire/resources.ts";
import { checkModel } from "./options.ts";
import {
  type EtaOptions,
  readSampler,
  type SamplerFields,
} from "./samplers.ts";
import { readHiresUpscaler } from "./upscalers.ts";
import { badField } from "../errors.ts";

/** The fields, as their schema lets them through. */
export interface HiresFields extends SamplerFields {
  /** Whether there is a second pass. */
  readonly enable_hr?: boolean | null;
  /** By how much it is larger. */
  readonly hr_scale?: number | null;
  /** Its columns, in place of a scale; 0 for by its rows. */
  readonly hr_resize_x?: number | null;
  /** Its rows, in place of a scale; 0 for by its columns. */
  readonly hr_resize_y?: number | null;
  /** What makes the first pass larger. */
  readonly hr_upscaler?: string | null;
  /** Steps that it runs; as many as the first where 0. */
  readonly hr_second_pass_steps?: number | null;
  /** How much it changes. */
  readonly denoising_strength?: number | null;
  /** Another model. */
  readonly hr_checkpoint_name?: string | null;
  /** Another sampler. */
  readonly hr_sampler_name?: string | null;
  /** Another schedule. */
  readonly hr_scheduler?: string | null;
  /** Another prompt. */
  readonly hr_prompt?: string | null;
  /** Another negative prompt. */
  readonly hr_negative_prompt?: string | null;
  /** What images show. */
  readonly prompt?: string | null;
  /** What they should not show. */
  readonly negative_prompt?: string | null;
  /** Columns of the first pass. */
  readonly width?: number | null;
  /** Rows of the first pass. */
  readonly height?: number | null;
  /** The first pass's size in older versions. */
  readonly firstphase_width?: number | null;
  /** The first pass's size in older versions. */
  readonly firstphase_height?: number | null;
}

/** What else decides how fields are read. */
export interface HiresContext {
  /** The model. */
  readonly model: ModelResource;
  /** Names of the upscalers that there are. */
  readonly upscalers: readonly string[];
  /** Steps of the first pass. */
  readonly steps: number;
  /** Options of the request. */
  readonly options: EtaOptions;
}

/** That program's own defaults. */
const SCALE = 2, STRENGTH = 0.75;
/** The most steps of a schedule. */
const MOST_STEPS = 1000;

/**
 * Reads the fields of a second pass.
 *
 * @returns no settings where there is none
 * @throws {ApiError} 400 `bad-request` naming the field, 404 `not-found` for another model
 */
export function readHires(
  fields: HiresFields,
  context: HiresContext,
): Partial<Settings> {
  if (!fields.enable_hr) return {};
  checkSameAsFirst(fields, context);
  const strength = fields.denoising_strength ?? STRENGTH;
  const runs = fields.hr_second_pass_steps || context.steps;
  return {
    ...sizeOf(fields, context.model),
    hiresUpscaler: readHiresUpscaler(
      fields.hr_upscaler,
      context.upscalers,
      "hr_upscaler",
    ),
    hiresStrength: strength,
    hiresSteps: scheduleFor(runs, strength),
  };
}

/** A second pass differs from the first in size alone. */
function checkSameAsFirst(
  fields: HiresFields,
  { model, options }: HiresContext,
): void {
  for (const name of ["firstphase_width", "firstphase_height"] as const) {
    if (fields[name]) {
      throw badField(name, "must be 0: width and height are the first pass's");
    }
  }
  const checkpoint = fields.hr_checkpoint_name;
  if (checkpoint && !/^use same/i.test(checkpoint)) {
    checkModel(checkpoint, model);
  }
  for (const name of ["prompt", "negative_prompt"] as const) {
    const other = fields[`hr_${name}`];
    if (!other || other === (fields[name] ?? "")) continue;
    throw badField(
      `hr_${name}`,
      `must be empty or the ${name} itself: both passes have one`,
    );
  }
  checkSampler(fields, options);
}

function checkSampler(fields: HiresFields, options: EtaOptions): void {
  const { hr_sampler_name, hr_scheduler } = fields;
  const given = (name?: string | null) =>
    name && !/^use same/i.test(name) ? name : undefined;
  const name = given(hr_sampler_name), schedule = given(hr_scheduler);
  const first = readSampler(fields, options);
  const again = readSampler({
    ...fields,
    ...name && { sampler_name: name },
    ...schedule && { scheduler: schedule },
  }, options);
  if (again.sampler !== first.sampler) {
    throw badField(
      "hr_sampler_name",
      `must be ${first.sampler}, as in the first pass, got ${again.sampler}`,
    );
  }
  if (again.schedule === first.schedule) return;
  throw badField(
    schedule ? "hr_scheduler" : "hr_sampler_name",
    `must leave the schedule ${
      first.schedule ?? "Automatic"
    }, as in the first pass, got ${again.schedule ?? "Automatic"}`,
  );
}

function sizeOf(
  { width, height, hr_scale, hr_resize_x, hr_resize_y }: HiresFields,
  { size: { own } }: ModelResource,
): Partial<Settings> {
  if (!hr_resize_x && !hr_resize_y) return { hiresScale: hr_scale ?? SCALE };
  const first = { width: width ?? own, height: height ?? own };
  if (hr_resize_x && hr_resize_y) {
    // There, what is left over of another shape is cut off.
    if (hr_resize_x * first.height !== hr_resize_y * first.width) {
      throw badField(
        "hr_resize_x",
        `and hr_resize_y must have the first pass's shape ${first.width}x${first.height}, got ${hr_resize_x}x${hr_resize_y}: give one of them, and 0 for the other`,
      );
    }
    return { hiresWidth: hr_resize_x, hiresHeight: hr_resize_y };
  }
  return hr_resize_x
    ? { hiresWidth: hr_resize_x }
    : { hiresHeight: hr_resize_y! };
}

/**
 * Steps of the schedule of which a strength runs as many as are asked for: here a
 * schedule is cut, there it is stretched.
 */
function scheduleFor(runs: number, strength: number): number {
  // What is wrong by itself is refused by its own name.
  if (!(strength > 0) || runs > MOST_STEPS) return runs;
  let steps = Math.ceil(runs / strength);
  // A product may come out just below the whole number that it stands for.
  if (Math.floor(steps * strength) < runs) steps++;
  if (steps <= MOST_STEPS) return steps;
  throw badField(
    "denoising_strength",
    `of ${strength} makes a schedule of ${steps} steps for a second pass of ${runs}, at most ${MOST_STEPS} are possible: give more strength or fewer steps`,
  );
}
