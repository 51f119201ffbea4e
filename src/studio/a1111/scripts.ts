/**
 * Arguments of scripts in AUTOMATIC1111's requests: reference photos and our own
 * options in `alwayson_scripts.masterweaver.args`, or simpler in `masterweaver`, and
 * the units of ControlNet.
 *
 * @module
 */
import { type OwnFields, readOwnFields } from "../compatible/own_fields.ts";
import { CONTROLNET, type GivenUnit, MOST_UNITS } from "./controlnet.ts";
import { SCRIPT } from "./listings.ts";
import { badField } from "../errors.ts";

/** Where a request has them. */
export interface Scripts {
  /** Arguments by script. */
  readonly alwayson_scripts?: Readonly<Record<string, unknown>> | null;
  /** Our own options. */
  readonly masterweaver?: unknown;
}

/** What scripts are to do. */
export interface GivenScripts {
  /** Our own options. */
  readonly own: OwnFields;
  /** Units of ControlNet. */
  readonly units: readonly GivenUnit[];
}

/**
 * Reads them.
 *
 * @throws {ApiError} 400 `bad-request`, also for another script that would do something
 */
export function readScripts(
  { alwayson_scripts, masterweaver }: Scripts,
): GivenScripts {
  const units: GivenUnit[] = [];
  const all = [readOwnFields(masterweaver, SCRIPT)];
  for (const [name, script] of Object.entries(alwayson_scripts ?? {})) {
    const at = `alwayson_scripts.${name.slice(0, 60)}`;
    const args = argsOf(script);
    if (name.toLowerCase() === SCRIPT) {
      for (const [i, arg] of args.entries()) {
        all.push(ownFieldsIn(arg, `${at}.args.${i}`));
      }
    } else if (name.toLowerCase() === CONTROLNET) {
      units.push(...unitsOf(args, at));
    } else if (!args.every(isOff)) {
      throw badField(at, `is not here: always on script ${at} not found`);
    }
  }
  const own = {
    settings: joined(all.map(({ settings }) => settings)),
    choices: joined(all.map(({ choices }) => choices)),
    photos: all.flatMap(({ photos }) => photos),
    sources: joined(all.map(({ sources }) => sources)),
    identity: all.findLast(({ identity }) => identity !== undefined)?.identity,
  };
  if (own.sources.controlnet && units.length > 0) {
    throw badField(
      "masterweaver.controlnet",
      "and alwayson_scripts.controlnet were given: give one of them",
    );
  }
  return { own, units };
}

/** The units among a script's arguments; what is neither one nor off is refused. */
function unitsOf(args: readonly unknown[], at: string): GivenUnit[] {
  const units = args.flatMap((arg, i) => {
    const own = `${at}.args.${i}`;
    if (!arg) return [];
    if (typeof arg === "object" && !Array.isArray(arg)) {
      return [{ fields: arg as GivenUnit["fields"], at: own }];
    }
    throw badField(own, "must be a unit, which is an object");
  }).filter(({ fields }) => !isOff(fields));
  if (units.length <= MOST_UNITS) return units;
  throw badField(
    `${at}.args`,
    `has ${units.length} units, at most ${MOST_UNITS} are possible`,
  );
}

/** An argument of the script: a photo, or our own options. */
function ownFieldsIn(arg: unknown, at: string): OwnFields {
  if (typeof arg !== "string") return readOwnFields(arg, at);
  const photos = [{ text: arg, field: at }];
  return { settings: {}, choices: {}, sources: {}, photos };
}

/** The arguments of a script: a list, or one alone. */
function argsOf(script: unknown): readonly unknown[] {
  const { args } = Object(script);
  if (Array.isArray(args)) return args;
  return args == null ? [] : [args];
}

/** Whether an argument says that its script does nothing. */
function isOff(arg: unknown): boolean {
  if (typeof arg !== "object" || arg === null) return !arg;
  const { enabled, enable = enabled } = Object(arg);
  return enable === false;
}

/** Objects as one; the last has the last word. */
function joined<T extends object>(objects: readonly T[]): Partial<T> {
  return Object.fromEntries(objects.flatMap(Object.entries)) as Partial<T>;
}
