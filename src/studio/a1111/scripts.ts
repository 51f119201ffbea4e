/**
 * Reference photos and our own options in AUTOMATIC1111's requests: in
 * `alwayson_scripts.masterweaver.args`, as scripts have them there, or simpler
 * in `masterweaver`.
 *
 * @module
 */
import {
  badField,
  type OwnFields,
  readOwnFields,
} from "../compatible/own_fields.ts";
import { SCRIPT } from "./listings.ts";

/** Where a request has them. */
export interface Scripts {
  /** Arguments by script. */
  readonly alwayson_scripts?: Readonly<Record<string, unknown>> | null;
  /** Our own options. */
  readonly masterweaver?: unknown;
}

/**
 * Reads them.
 *
 * @throws {ApiError} 400 `bad-request`, also for another script that would do something
 */
export function ownFieldsOf(
  { alwayson_scripts, masterweaver }: Scripts,
): OwnFields {
  const all = [readOwnFields(masterweaver, SCRIPT)];
  for (const [name, script] of Object.entries(alwayson_scripts ?? {})) {
    const at = `alwayson_scripts.${name.slice(0, 60)}`;
    const args = argsOf(script);
    if (name.toLowerCase() === SCRIPT) {
      for (const [i, arg] of args.entries()) {
        all.push(ownFieldsIn(arg, `${at}.args.${i}`));
      }
    } else if (!args.every(isOff)) {
      throw badField(at, `is not here: always on script ${at} not found`);
    }
  }
  return {
    settings: joined(all.map(({ settings }) => settings)),
    choices: joined(all.map(({ choices }) => choices)),
    photos: all.flatMap(({ photos }) => photos),
    sources: joined(all.map(({ sources }) => sources)),
    identity: all.findLast(({ identity }) => identity !== undefined)?.identity,
  };
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
