/**
 * The adapter that a run left, for another to start from.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { SETTINGS_NAME } from "./check_folder.ts";

const FINAL = "adapter_final";

/**
 * The file of an adapter: the one that is given, or in a folder of a run its
 * final adapter, else the newest that was saved with a checkpoint.
 *
 * @throws {MasterWeaverError} `bad-option` where a folder has none, or where a final adapter is given of a run that has not come to its end
 */
export async function adapterFile(path: string): Promise<string> {
  const names = await namesIn(path);
  if (names) {
    const found = adapterIn(names, "weave");
    if (found !== undefined) return `${path}/${found}`;
    throw new MasterWeaverError(
      "bad-option",
      `Cannot start from ${path}: it has no ${FINAL}.weave, nor an adapter of a checkpoint such as adapter_002000.weave; give the folder of a run that saved one, or a file`,
    );
  }
  const [, folder = ".", ending] =
    /^(?:(.*)\/)?adapter_final\.(weave|pt)$/.exec(path) ?? [];
  if (ending === undefined) return path;
  const others = await namesIn(folder);
  const isMissing = others?.includes(SETTINGS_NAME) &&
    !others.includes(`${FINAL}.${ending}`);
  if (!isMissing) return path;
  const newest = adapterIn(others!, ending);
  throw new MasterWeaverError(
    "bad-option",
    `Cannot start from ${path}: the run has not come to its end; ${
      newest === undefined
        ? "it has saved no adapter yet"
        : `its newest adapter is ${folder}/${newest}`
    }`,
  );
}

/** The final adapter among files, else the newest. */
function adapterIn(
  names: readonly string[],
  ending: string,
): string | undefined {
  const final = `${FINAL}.${ending}`;
  if (names.includes(final)) return final;
  const stepOf = (name: string) =>
    Number(/^adapter_(\d+)\.(.+)$/.exec(name)?.[1] ?? NaN);
  return names
    .filter((name) => name.endsWith(`.${ending}`) && stepOf(name) >= 0)
    .toSorted((a, b) => stepOf(a) - stepOf(b))
    .at(-1);
}

/** The names in a folder; undefined where it is none. */
async function namesIn(path: string): Promise<string[] | undefined> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(path));
    return entries.map(({ name }) => name);
  } catch {
    return;
  }
}
