/**
 * Settings of an image: their defaults, and their checks against a model.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Settings } from "./settings.ts";
import { LONGEST_SIDE, optionsOf } from "./table.ts";
import { checkValue, integer, type OptionType } from "./types.ts";

export type { LessWork, Rng, Settings } from "./settings.ts";

/** Defaults; width and height are the model's own. */
export const defaultSettings: Readonly<
  Omit<Settings, "prompt" | "width" | "height">
> = Object.fromEntries(
  optionsOf("image")
    .filter((option) => option.default !== undefined)
    .map((option) => [option.name, option.default]),
) as Omit<Settings, "prompt" | "width" | "height">;

/** What the model says about sizes. */
export interface SizeRule {
  /** The side it was trained on, in pixels. */
  readonly own: number;
  /** Sides are multiples of this. */
  readonly multiple: number;
}

/**
 * Any size, for checks before a model is loaded: only the model knows which
 * sides are allowed.
 */
export const anySize: SizeRule = { own: 512, multiple: 1 };

/**
 * Fills in defaults and checks every value.
 *
 * @throws {MasterWeaverError} `bad-option` naming the option, its range and what was given
 */
export function checkSettings(
  given: Partial<Settings> & { prompt: string },
  size: SizeRule,
): Settings {
  const settings: Settings = {
    ...defaultSettings,
    width: size.own,
    height: size.own,
    ...withoutUndefined(given),
  };
  const values: { readonly [name: string]: unknown } = { ...settings };
  for (const { name, type, recordOnlyIfGiven } of optionsOf("image")) {
    // What need not be given has no default, either.
    if (recordOnlyIfGiven && values[name] === undefined) continue;
    const isSide = name === "width" || name === "height";
    const kind = isSide && size !== anySize ? sideOf(size) : type;
    checkValue(name, kind, values[name]);
  }
  return settings;
}

/**
 * The settings of an image without an identity: its scale is 0.
 *
 * @param settings checked, with defaults filled in
 * @param given what was asked for
 * @throws {MasterWeaverError} `bad-option` where a scale was asked for
 */
export function withoutIdScale(
  settings: Settings,
  { idScale = 0 }: Partial<Settings>,
): Settings {
  if (idScale === 0) return { ...settings, idScale };
  throw new MasterWeaverError(
    "bad-option",
    `Option idScale must be 0 or not given without an identity, got ${idScale}; give an identity, or leave it out`,
  );
}

/** A side that a model's images may have, in pixels. */
export function sideOf({ multiple }: SizeRule): OptionType<number> {
  return integer(8 * multiple, LONGEST_SIDE, multiple);
}

/** A copy without the undefined values. */
export function withoutUndefined<T extends object>(given: T): T {
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as T;
}
