/**
 * Names of the files that are written. Neither an input's header nor its name
 * may lead out of the folder, or to another component's file.
 *
 * @module
 */
import { basename, dirname, extname, resolve } from "node:path";
import {
  type ComponentName,
  componentNames,
  extraComponents,
  type ExtraName,
  isComponentName,
  isExtraName,
} from "../../src/weights/components.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { brief } from "../../src/weights/brief.ts";

/** Names that every supported file system accepts. */
const PLAIN =
  // deno-lint-ignore no-control-regex
  /^(?![. ])[^\u0000-\u001f\u007f-\u009f/\\:*?"<>|]{1,100}(?<![. ])$/;
/** Names of devices on Windows, whatever their ending. */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/**
 * The component that a `.weave` file's header names.
 *
 * @param file what messages call the file
 * @throws {MasterWeaverError} `bad-checkpoint` where it is unknown
 */
export function knownComponent(
  file: string,
  component: string,
): ComponentName | ExtraName {
  if (isComponentName(component) || isExtraName(component)) return component;
  throw badCheckpoint(
    file,
    `its header names the component ${brief(component)}, expected one of ${
      [...componentNames, ...extraComponents].join(", ")
    }; take the file from another source`,
  );
}

/**
 * The name an identity adapter is written under: `adapter_final` and
 * `identity_adapter` are the model's own, others keep their names.
 *
 * @param file its path
 * @throws {MasterWeaverError} `bad-checkpoint` where the name is that of another component, or not a plain one
 */
export function adapterName(file: string): string {
  const stem = basename(file, extname(file));
  if (stem === "adapter_final" && !/\.weave$/i.test(file)) {
    return "identity_adapter";
  }
  if (stem === "identity_adapter") return stem;
  return ownName(
    file,
    stem,
    "an identity adapter",
    ", or call it identity_adapter to make it the model's own",
  );
}

/** Names of files that say nothing of what is in them. */
const COMMON = /^(diffusion_pytorch_model|model|pytorch_model)\b/;

/**
 * The name that a component beside a model is written under: its file's, or that of
 * its folder where all such files have one name.
 *
 * @param file its path
 * @param what what it is, for messages
 * @throws {MasterWeaverError} `bad-checkpoint` where the name is that of a model's component, or not a plain one
 */
export function extraName(file: string, what: string): string {
  const stem = basename(file, extname(file));
  const own = COMMON.test(stem) ? basename(dirname(resolve(file))) : stem;
  return ownName(file, own, what);
}

/** A name that the file's owner chose, where it may be one here. */
function ownName(
  file: string,
  stem: string,
  what: string,
  advice = "",
): string {
  // Some file systems do not distinguish upper and lower case.
  const taken = componentNames.find((name) => name === folded(stem));
  if (taken !== undefined) {
    throw badCheckpoint(
      file,
      `it is ${what}, which keeps its file's name, and ` +
        `${taken}.weave is a component of the model; rename the file${advice}`,
    );
  }
  if (!PLAIN.test(stem) || WINDOWS_DEVICE.test(stem)) {
    throw badCheckpoint(
      file,
      `it is ${what}, which keeps its file's name, and that is not ` +
        "a plain one; rename the file",
    );
  }
  return stem;
}

function folded(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}
