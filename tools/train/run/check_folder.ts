/**
 * Whether a folder can be that of a training run.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { reason } from "../../../src/host/reasons.ts";
import { brief } from "../../../src/weights/brief.ts";
import { isHarmless } from "./leftovers.ts";
import { LOCK_NAME } from "./lock.ts";

/** The file that makes a folder that of a run. */
export const SETTINGS_NAME = "settings.json";

/**
 * Whether a folder holds a run.
 *
 * @param resume true: it must; false: it must not; either where not given
 *
 * @throws {MasterWeaverError} `bad-option` where it holds anything else, or not what was asked for
 */
export async function checkFolder(
  path: string,
  resume: boolean | undefined,
): Promise<boolean> {
  let entries: Deno.DirEntry[];
  try {
    entries = await Array.fromAsync(Deno.readDir(path));
  } catch (error) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot use ${path} as the folder of a run: ${reason(error)}`,
      { cause: error },
    );
  }
  const refuse = (what: string): never => {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot train in ${path}: ${what}`,
    );
  };
  if (entries.some(({ name }) => name === SETTINGS_NAME)) {
    if (resume === false) {
      refuse("it holds a run already; resume that one, or give another folder");
    }
    return true;
  }
  const others = entries.map(({ name }) => name).filter((name) =>
    name !== LOCK_NAME && !isHarmless(name)
  ).toSorted();
  if (others.length > 0) {
    const more = others.length > 1 ? ` and ${others.length - 1} more` : "";
    refuse(
      `it holds ${
        brief(others[0])
      }${more} and no ${SETTINGS_NAME} of a run; give a new or empty folder`,
    );
  }
  if (resume === true) {
    refuse("it holds no run to resume; give the folder of one");
  }
  return false;
}
