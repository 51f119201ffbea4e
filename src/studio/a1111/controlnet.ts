/**
 * ControlNets of AUTOMATIC1111's requests, as the extension sd-webui-controlnet has
 * them: units in `alwayson_scripts.controlnet.args`.
 *
 * @module
 */
import { nearestNames } from "../../base/nearest.ts";
import { uprightSize } from "../../host/codecs/decode_image.ts";
import {
  CONTROL_PREPROCESSORS,
  type ControlFractions,
  type ControlPreprocess,
} from "../../options/control_types.ts";
import type { Settings } from "../../options/settings.ts";
import { fromBase64 } from "../api/photos.ts";
import type { SourceFields } from "../api/sources.ts";
import { badField } from "../errors.ts";

/** The name of the script whose arguments are units. */
export const CONTROLNET = "controlnet";
/** The most units of a request. */
export const MOST_UNITS = 8;

/** A unit, as a request has it. */
export interface GivenUnit {
  /** Its fields. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Where it is in the request, for messages. */
  readonly at: string;
}

/** What else decides how units are read. */
export interface UnitContext {
  /** Names of the ControlNets that there are. */
  readonly names: readonly string[];
  /** The image that a unit without one sees. */
  readonly initImage?: string;
  /** Whether the region around a mask alone is made. */
  readonly onlyMasked: boolean;
  /** Whether there is a second pass. */
  readonly hasHires: boolean;
  /** Columns and rows of the image. */
  readonly size: { readonly width: number; readonly height: number };
}

/** What units ask for. */
export interface ReadUnits {
  /** ControlNets and their images. */
  readonly sources: SourceFields;
  /** How all of them are followed. */
  readonly settings: Partial<Pick<Settings, "guessMode">>;
  /** Where each image is in the request, for messages. */
  readonly places: readonly string[];
  /** What was done differently than asked. */
  readonly warnings: readonly string[];
}

/** A unit that was read. */
interface Unit {
  readonly name: string;
  readonly image: string;
  readonly scale: number;
  readonly range: ControlFractions;
  readonly preprocess: ControlPreprocess;
  readonly isGuess: boolean;
  readonly warnings: readonly string[];
}

/** Values of a choice, as texts in small letters and as numbers. */
type Choice = readonly (readonly (string | number)[])[];

const MODES: Choice = [
  [0, "balanced"],
  [1, "my prompt is more important"],
  [2, "controlnet is more important"],
];
const RESIZES: Choice = [
  [0, "just resize", "resizemode.resize"],
  [
    1,
    "crop and resize",
    "inner fit (scale to fit)",
    "scale to fit (inner fit)",
    "resizemode.inner_fit",
  ],
  [
    2,
    "resize and fill",
    "outer fit (shrink to fit)",
    "envelope (outer fit)",
    "resizemode.outer_fit",
  ],
];
/** What a unit resizes by where it does not say. */
const CROP = 1;

/** Fields that would change what a unit does, unless they have such a value. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  mask: [""],
  mask_image: [""],
  effective_region_mask: [""],
  advanced_weighting: [],
  ipadapter_input: [],
  batch_images: [""],
  input_mode: ["simple", "InputMode.SIMPLE"],
  loopback: [false],
  inpaint_crop_input_image: [false, true],
  guessmode: [false],
};
/** Fields that change nothing: memory, the web page, and other kinds of nets. */
const IGNORED = [
  "low_vram",
  "lowvram",
  "pixel_perfect",
  "save_detected_map",
  "is_ui",
  "output_dir",
  "pulid_mode",
  "union_control_type",
];
const USED = [
  "enabled",
  "module",
  "model",
  "image",
  "input_image",
  "weight",
  "guidance_start",
  "guidance_end",
  "guidance",
  "control_mode",
  "resize_mode",
  "threshold_a",
  "threshold_b",
  "processor_res",
  "hr_option",
];
const KNOWN = new Set([...USED, ...IGNORED, ...Object.keys(NEUTRAL)]);

/** The thresholds of Canny's edges here, which are the defaults there. */
const THRESHOLDS = { threshold_a: 100, threshold_b: 200 };

/**
 * Reads units.
 *
 * @throws {ApiError} 400 `bad-request` naming the unit's field
 */
export function readUnits(
  given: readonly GivenUnit[],
  context: UnitContext,
): ReadUnits {
  const units = given.map((unit) => readUnit(unit, context));
  if (units.length === 0) {
    return { sources: {}, settings: {}, places: [], warnings: [] };
  }
  const odd = units.findIndex(({ isGuess }) => isGuess !== units[0].isGuess);
  if (odd >= 0) {
    throw badField(
      `${given[odd].at}.control_mode`,
      "must be that of the other units",
    );
  }
  return {
    sources: {
      controlnet: units.map(({ name }) => name),
      controlImage: units.map(({ image }) => image),
      controlScale: units.map(({ scale }) => scale),
      controlRange: units.map(({ range }) => range),
      controlPreprocess: units.map(({ preprocess }) => preprocess),
    },
    settings: units[0].isGuess ? { guessMode: true } : {},
    places: given.map(({ at }) => `${at}.image`),
    warnings: units.flatMap(({ warnings }) => warnings),
  };
}

function readUnit(unit: GivenUnit, context: UnitContext): Unit {
  const { fields } = unit;
  checkNeutral(unit, context);
  const preprocess = readModule(unit);
  const image = readImage(unit, context);
  const isGuess = readMode(unit);
  checkResize(unit, image, context);
  const end = fields.guidance_end ?? fields.guidance;
  const range: ControlFractions = [
    number(unit, "guidance_start", fields.guidance_start, 0, [0, 1]),
    number(unit, "guidance_end", end, 1, [0, 1]),
  ];
  if (range[0] > range[1]) {
    throw wrong(unit, "guidance_start", "must not be after guidance_end");
  }
  const unknown = Object.keys(fields).filter((name) => !KNOWN.has(name))
    .slice(0, 12).map((name) => `${unit.at}.${name.slice(0, 60)}`);
  return {
    name: readModel(unit, context),
    image,
    scale: number(unit, "weight", fields.weight, 1, [0, 2]),
    range,
    preprocess,
    isGuess,
    warnings: [
      ...unknown.length > 0 ? [`Not known here: ${unknown.join(", ")}`] : [],
      ...thresholdWarnings(unit, preprocess),
      ...resolutionWarnings(unit, preprocess, context),
    ],
  };
}

function checkNeutral(
  unit: GivenUnit,
  { onlyMasked, hasHires }: UnitContext,
): void {
  const { fields } = unit;
  for (const [name, values] of Object.entries(NEUTRAL)) {
    const value = fields[name];
    if (value == null || values.includes(value)) continue;
    throw wrong(unit, name, "is not supported here: leave it out");
  }
  if (onlyMasked && fields.inpaint_crop_input_image !== false) {
    throw wrong(
      unit,
      "inpaint_crop_input_image",
      "must be false with inpaint_full_res: ControlNets see their whole image here",
    );
  }
  const passes = fields.hr_option;
  const isBoth = passes == null || passes === 0 ||
    /^(hiresfixoption\.)?both$/i.test(textOf(passes));
  if (hasHires && !isBoth) {
    throw wrong(unit, "hr_option", "must be Both: both passes have them");
  }
}

function readModule(unit: GivenUnit): ControlPreprocess {
  const { fields } = unit;
  const given = textOf(fields.module ?? "none");
  const module = given.toLowerCase();
  const found = CONTROL_PREPROCESSORS.find((name) => name === module);
  if (!found) {
    throw wrong(
      unit,
      "module",
      `must be one of ${CONTROL_PREPROCESSORS.join(", ")}, got ${
        given.slice(0, 40)
      }`,
    );
  }
  for (const [name, own] of Object.entries(THRESHOLDS)) {
    const value = fields[name] ?? -1;
    // There, what is too small stands for the default.
    const isOwn = value === own || (typeof value === "number" && value < 1) ||
      isUnsaid(fields);
    if (found !== "canny" || isOwn) continue;
    throw wrong(unit, name, `must be ${own} for canny, got ${shown(value)}`);
  }
  return found;
}

/**
 * Whether thresholds are those that webuiapi sends with every unit where nobody
 * says any, whatever the module.
 */
function isUnsaid({ threshold_a: a, threshold_b: b }: GivenUnit["fields"]) {
  return a === 64 && b === 64;
}

function thresholdWarnings(
  { fields, at }: GivenUnit,
  preprocess: ControlPreprocess,
): string[] {
  return preprocess === "canny" && isUnsaid(fields)
    ? [
      `Edges are found with thresholds 100 and 200; not used: ${at}.threshold_a and threshold_b, 64 and 64`,
    ]
    : [];
}

/** The name of a ControlNet, perhaps with a hash behind it. */
function readModel(unit: GivenUnit, { names }: UnitContext): string {
  const asked = textOf(unit.fields.model ?? "None").slice(0, 200);
  const name = asked.replace(/ \[[0-9a-f]+\]$/i, "");
  const found = names.find((one) => one === name) ??
    names.find((one) => one.toLowerCase() === name.toLowerCase());
  if (found !== undefined) return found;
  const near = nearestNames(name.slice(0, 60), names, 3, Infinity);
  throw wrong(
    unit,
    "model",
    near.length > 0
      ? `must be a ControlNet that is here, such as ${near.join(", ")}, got ${
        name.slice(0, 60)
      }`
      : `names the ControlNet ${
        name.slice(0, 60)
      }, but there are none: put converted ones into the model's folder controlnets`,
  );
}

/** The image of a unit, in base64; what is made from an image may leave it out. */
function readImage(unit: GivenUnit, { initImage }: UnitContext): string {
  const { image, input_image } = unit.fields;
  const field = image == null ? "input_image" : "image";
  const given = image ?? input_image ?? "";
  const { image: inner = given, mask } = Object(given);
  if (mask != null && typeof given === "object") {
    throw wrong(unit, field, "must have no mask here");
  }
  if (typeof inner !== "string") {
    throw wrong(unit, field, "must be one PNG or JPEG file in base64");
  }
  const text = inner === "" ? initImage : inner;
  if (text !== undefined) return text;
  throw wrong(unit, "image", "is missing: give what the ControlNet sees");
}

/** Whether a unit works as guess mode does. */
function readMode(unit: GivenUnit): boolean {
  const mode = choice(unit, "control_mode", MODES, 0);
  if (mode !== 1) return mode === 2;
  throw wrong(
    unit,
    "control_mode",
    "must be Balanced, or ControlNet is more important, which is guess mode",
  );
}

/** Control images are resized without regard to their shape. */
function checkResize(
  unit: GivenUnit,
  image: string,
  { size }: UnitContext,
): void {
  if (choice(unit, "resize_mode", RESIZES, CROP) === 0) return;
  const own = uprightSize(fromBase64(image, `${unit.at}.image`));
  // Where there is no size, decoding says what is wrong with the file.
  if (!own || own.width * size.height === own.height * size.width) return;
  throw wrong(
    unit,
    "resize_mode",
    `must be 0, Just Resize, for an image of another shape than the result's: ${own.width}x${own.height} and ${size.width}x${size.height}`,
  );
}

function resolutionWarnings(
  { fields, at }: GivenUnit,
  preprocess: ControlPreprocess,
  { size: { width, height } }: UnitContext,
): string[] {
  const { processor_res, pixel_perfect } = fields;
  const isUsed = preprocess === "canny" && pixel_perfect !== true &&
    typeof processor_res === "number" && processor_res >= 64;
  if (!isUsed || processor_res === Math.min(width, height)) return [];
  return [
    `Edges are found in ${width}x${height} pixels, as pixel_perfect does; not used: ${at}.processor_res`,
  ];
}

/** The place of a value among choices. */
function choice(
  unit: GivenUnit,
  name: string,
  choices: Choice,
  otherwise: number,
): number {
  const given = unit.fields[name] ?? otherwise;
  const value = typeof given === "string" ? given.toLowerCase() : given;
  const at = choices.findIndex((names) => names.some((one) => one === value));
  if (at >= 0) return at;
  throw wrong(
    unit,
    name,
    `must be one of 0..${choices.length - 1} or their names, got ${
      shown(given)
    }`,
  );
}

function number(
  unit: GivenUnit,
  name: string,
  given: unknown,
  otherwise: number,
  [least, most]: readonly [number, number],
): number {
  const value = given ?? otherwise;
  if (typeof value === "number" && value >= least && value <= most) {
    return value;
  }
  throw wrong(
    unit,
    name,
    `must be a number in ${least}..${most}, got ${shown(given)}`,
  );
}

/** A text as it is; else its beginning as JSON, for not all can be made a text. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : shown(value);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 40);
}

function wrong({ at }: GivenUnit, name: string, what: string) {
  return badField(`${at}.${name}`, what);
}
