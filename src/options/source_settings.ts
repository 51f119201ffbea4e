/**
 * The settings of a start from an image: their defaults, and what they need.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { SizeRule } from "./options.ts";
import { NO_SIDES, outpaintSides, outpaintSize } from "./outpaint.ts";
import { LONGEST_SIDE, type OptionalSetting } from "./table.ts";
import type { Settings } from "./settings.ts";

/** The settings that mean something only with an initial image. */
export const sourceNames = [
  "strength",
  "initLatents",
  "outpaint",
  "maskFill",
  "maskBlur",
  "maskPaste",
  "onlyMasked",
  "maskPadding",
] as const satisfies readonly OptionalSetting[];

/** A setting that means something only with an initial image. */
export type SourceName = typeof sourceNames[number];

/** Whether a setting means something only with a mask, or where an image is extended. */
export function needsMask(name: SourceName): boolean {
  return /mask/i.test(name);
}

/** Settings of a start from an image, defaults filled in. */
export interface SourceSettings
  extends
    Pick<Settings, "steps" | "width" | "height">,
    Required<Pick<Settings, Exclude<SourceName, "outpaint">>>,
    Pick<Settings, "outpaint"> {}

/** What is used where nothing is given. */
const DEFAULTS = {
  strength: 0.8,
  initLatents: "sample",
  maskFill: "original",
  maskBlur: 0,
  maskPaste: true,
  onlyMasked: false,
  maskPadding: 32,
} as const;

/**
 * Width and height where none are asked for: those of an extended image; of others, the
 * model decides.
 */
export function sizeOfSource(
  image: { readonly width: number; readonly height: number } | undefined,
  outpaint: unknown,
  { multiple }: SizeRule,
): Partial<Pick<Settings, "width" | "height">> {
  const sides = typeof outpaint === "string"
    ? outpaintSides(outpaint)
    : undefined;
  return image && sides
    ? outpaintSize(image, sides, multiple, LONGEST_SIDE)
    : {};
}

/**
 * Columns and rows of images before they are upscaled: where only what is masked is
 * made, those of the initial image and of what extends it.
 *
 * @param image the initial image
 */
export function sizeOfMade(
  { width, height, onlyMasked, outpaint }: Settings,
  image: { readonly width: number; readonly height: number } | undefined,
): { width: number; height: number } {
  if (!onlyMasked || !image) return { width, height };
  const sides = outpaint === undefined ? undefined : outpaintSides(outpaint);
  const { left, top, right, bottom } = sides ?? NO_SIDES;
  return {
    width: image.width + left + right,
    height: image.height + top + bottom,
  };
}

/** What there is besides the settings. */
export interface SourceGiven {
  /** Whether there is an initial image. */
  readonly initImage: boolean;
  /** Whether there is a mask. */
  readonly mask: boolean;
}

/**
 * Fills in the defaults of a start from an image.
 *
 * @param settings whose values are valid
 * @returns undefined where there is no image
 * @throws {MasterWeaverError} `bad-option` naming a setting that needs what is not given
 */
export function sourceSettings(
  settings: Settings,
  given: SourceGiven,
): SourceSettings | undefined {
  const { outpaint, steps, width, height } = settings;
  const isGiven = (name: SourceName) => settings[name] !== undefined;
  if (!given.initImage) {
    const needing = given.mask ? "mask" : sourceNames.find(isGiven);
    if (needing !== undefined) {
      throw needs(needing, "an initial image", "initImage");
    }
    return undefined;
  }
  const hasMask = given.mask || outpaint !== undefined;
  const needing = sourceNames.find((name) => needsMask(name) && isGiven(name));
  if (!hasMask && needing !== undefined) throw needs(needing, "a mask", "mask");
  const chosen = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [
      name,
      settings[name as keyof typeof DEFAULTS] ?? value,
    ]),
  );
  const all = { ...chosen, outpaint, steps, width, height } as SourceSettings;
  checkStrength(all);
  if (all.onlyMasked && !all.maskPaste) {
    throw bad(
      "Option maskPaste must be true with onlyMasked, got false: what is made of the masked region is pasted into the image",
    );
  }
  return all;
}

/** Settings with the strength that was used, which says that there was an image. */
export function withStrength(
  settings: Settings,
  used: SourceSettings | undefined,
): Settings {
  return used ? { ...settings, strength: used.strength } : settings;
}

function checkStrength({ steps, strength }: SourceSettings): void {
  if (Math.floor(steps * strength) >= 1) return;
  throw bad(
    `Option strength of ${strength} leaves none of ${steps} ${
      steps === 1 ? "step" : "steps"
    }; give at least ${Math.ceil(1000 / steps) / 1000}, or more steps`,
  );
}

function needs(name: string, what: string, option: string): MasterWeaverError {
  return bad(
    `Option ${name} needs ${what}: give ${option}, or leave ${name} out`,
  );
}

function bad(message: string): MasterWeaverError {
  return new MasterWeaverError("bad-option", message);
}
