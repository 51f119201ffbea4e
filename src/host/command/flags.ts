/**
 * Reads the command's options from text to values; errors name an option as it
 * is typed.
 *
 * @module
 */
import { type OptionSpec, parseArguments } from "../arguments.ts";
import { typed, UsageError } from "../exit.ts";
import type {
  CommandChoices,
  IdentityChoices,
  LoadChoices,
  Settings,
} from "../../options/settings.ts";
import { needsMask, sourceNames } from "../../options/source_settings.ts";
import {
  type ControlOption,
  flagName,
  type NamedOption,
  options,
} from "../../options/table.ts";
import type { OptionType } from "../../options/types.ts";

/** Options of the command without a default. */
export type NotAlways =
  | "model"
  | "extras"
  | "fromImage"
  | "initImage"
  | "mask"
  | ControlOption;

/** What was typed; an option neither typed nor with a default is absent. */
export interface Flags
  extends
    Omit<CommandChoices, NotAlways>,
    Partial<Pick<CommandChoices, NotAlways>>,
    Partial<IdentityChoices>,
    Partial<LoadChoices> {
  /** Settings of the image. */
  readonly settings: Partial<Settings>;
  /** What was typed, by flag. */
  readonly typed: Readonly<Record<string, unknown>>;
}

const flags = options.filter(({ libraryOnly }) => !libraryOnly);

/** How each option is typed, for the parser of command lines. */
const specs: Readonly<Record<string, OptionSpec>> = Object.fromEntries(
  flags.flatMap(({ flag, type: { form, joins } }): [string, OptionSpec][] => {
    if (form === "value") {
      const multiple = joins !== undefined;
      return [[flag, { type: "string", ...multiple && { multiple } }]];
    }
    if (form === "values") return [[flag, { type: "string", multiple: true }]];
    const names = form === "pair" ? [flag, `no-${flag}`] : [flag];
    return names.map((name) => [name, { type: "boolean" }]);
  }),
);

/**
 * Reads the command line.
 *
 * @throws {UsageError} that names the option, what was given and what was expected
 */
export function readFlags(args: readonly string[]): Flags {
  const { values } = parseArguments(args, specs, "no-positionals");
  const settings: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  for (const option of flags) {
    const { name, group } = option;
    const value = valueOf(option, values) ??
      (group === "command" ? option.default : undefined);
    if (value === undefined) continue;
    if (group === "image") settings[name] = value;
    else others[name] = value;
  }
  const made: unknown = { ref: [], ...others, settings, typed: values };
  // Each value has its option's type, and options with a default are present.
  const read = made as Flags;
  if (!read.help && !read.version) checkTogether(read);
  return read;
}

/** An option's value on a command line; undefined where it is not typed. */
function valueOf(
  { flag, type }: NamedOption,
  values: Readonly<Record<string, unknown>>,
): unknown {
  const given = values[flag];
  if (type.form === "switch") return given;
  if (type.form === "pair") return either(flag, values);
  if (Array.isArray(given) && type.joins !== undefined) {
    return parsed(flag, type, given.join(type.joins));
  }
  if (Array.isArray(given)) {
    return given.flatMap((text) => parsed(flag, type, text));
  }
  return typeof given === "string" ? parsed(flag, type, given) : undefined;
}

function parsed<T>(flag: string, type: OptionType<T>, text: string): T {
  const value = type.parse(text);
  const fault = value === undefined ? undefined : type.fault(value);
  if (value !== undefined && fault === undefined) return value;
  const why = fault === undefined ? type.takes(text) : `must be ${fault}`;
  throw new UsageError(`Option --${flag} ${why}, got ${typed(text)}`);
}

function either(
  flag: string,
  values: Readonly<Record<string, unknown>>,
): boolean | undefined {
  const [yes, no] = [values[flag], values[`no-${flag}`]];
  if (yes && no) {
    throw new UsageError(`Give --${flag} or --no-${flag}, not both`);
  }
  return yes ? true : no ? false : undefined;
}

function checkTogether(given: Flags): void {
  const { ref, face, align, fromImage, settings } = given;
  if (ref.length === 0) {
    checkWithoutReferences(given);
    if (fromImage === undefined && settings.prompt === undefined) {
      throw new UsageError(
        "Give a prompt with --prompt TEXT, a photo with --ref FILE, or both",
      );
    }
  }
  // An image to repeat may have had some.
  if (given.controlnet === undefined && fromImage === undefined) {
    checkWithoutNets(given);
  }
  checkInitialImage(given);
  if (face !== undefined && align === false) {
    throw new UsageError("Give --face or --no-align, not both");
  }
}

/** Refuses what means nothing without an initial image or a mask. */
function checkInitialImage({ initImage, mask, settings }: Flags): void {
  const needing = [
    ...mask === undefined ? [] : ["mask"],
    ...sourceNames.filter((name) => settings[name] !== undefined),
  ];
  const [name] = needing;
  if (initImage === undefined && name !== undefined) {
    throw needs(name, "an initial image", "--init-image FILE");
  }
  const ofMask = sourceNames.find((name) =>
    settings[name] !== undefined && needsMask(name)
  );
  if (
    ofMask !== undefined && mask === undefined &&
    settings.outpaint === undefined
  ) {
    throw needs(ofMask, "a mask", "--mask FILE");
  }
}

function needs(name: string, what: string, give: string): UsageError {
  const flag = flagName(name);
  return new UsageError(
    `Option --${flag} needs ${what}: give ${give}, or leave --${flag} out`,
  );
}

/**
 * Refuses what means nothing without ControlNets.
 *
 * @throws {UsageError}
 */
export function checkWithoutNets(flags: Flags): void {
  const typed = [
    ["control-image", flags.controlImage],
    ["control-scale", flags.controlScale],
    ["control-range", flags.controlRange],
    ["control-preprocess", flags.controlPreprocess],
    ["guess-mode", flags.settings.guessMode || undefined],
  ].find(([, value]) => value !== undefined);
  if (!typed) return;
  throw new UsageError(
    `Option --${
      typed[0]
    } needs a ControlNet: give one with --controlnet FILE|NAME, or leave --${
      typed[0]
    } out`,
  );
}

/** Refuses what means nothing without references. */
function checkWithoutReferences({ settings, saveReferences, ...given }: Flags) {
  const values: Readonly<Record<string, unknown>> = given;
  const needing = flags.find(({ name, group }) =>
    name === "saveReferences"
      ? saveReferences
      : name === "idScale"
      ? (settings.idScale ?? 0) > 0
      : (group === "identity" || name === "adapter") &&
        values[name] !== undefined
  );
  if (!needing) return;
  const { flag, name } = needing;
  const typed = values[name] === false ? `no-${flag}` : flag;
  throw new UsageError(
    `Option --${typed} needs a reference photo: give one with --ref FILE, or leave --${typed} out`,
  );
}

/** Keys of an image's settings that the command line overrides. */
export function typedKeys(given: Flags): ReadonlySet<string> {
  const values: Readonly<Record<string, unknown>> = {
    ...given,
    ...given.settings,
  };
  const keys = flags.flatMap(({ name, key }) =>
    key === undefined || values[name] === undefined ? [] : [key]
  );
  // Another model or adapter has another hash, too.
  return new Set([
    ...keys,
    ...given.model === undefined ? [] : ["model_hash", "adapter_hash"],
    ...given.adapter === undefined ? [] : ["adapter_hash"],
    ...given.initImage === undefined ? [] : ["init_image_hash"],
    ...given.mask === undefined ? [] : ["mask_hash"],
  ]);
}
