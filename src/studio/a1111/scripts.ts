/**
 * Reference photos and our own options in AUTOMATIC1111's requests: in
 * `alwayson_scripts.masterweaver.args`, as scripts have them there, or simpler
 * in `masterweaver`.
 *
 * @module
 */
import { type OwnFields, readOwnFields } from "../compatible/own_fields.ts";
import { badField } from "./errors.ts";
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
export async function ownFieldsOf(
  { alwayson_scripts, masterweaver }: Scripts,
): Promise<OwnFields> {
  let all = await readOwnFields(masterweaver, SCRIPT);
  for (const [name, script] of Object.entries(alwayson_scripts ?? {})) {
    const at = `alwayson_scripts.${name.slice(0, 60)}`;
    const args = argsOf(script);
    if (name.toLowerCase() !== SCRIPT) {
      if (args.every(isOff)) continue;
      throw badField(at, `is not here: always on script ${at} not found`);
    }
    for (const [i, arg] of args.entries()) {
      const fields = typeof arg === "string" ? { references: [arg] } : arg;
      all = joined(all, await readOwnFields(fields, `${at}.args.${i}`));
    }
  }
  return all;
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

function joined(a: OwnFields, b: OwnFields): OwnFields {
  return {
    settings: { ...a.settings, ...b.settings },
    choices: { ...a.choices, ...b.choices },
    photos: [...a.photos, ...b.photos],
    identity: b.identity ?? a.identity,
  };
}
