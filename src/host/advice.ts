/**
 * Rewrites the advice in the core's messages for the command and its tools.
 *
 * The core advises a script: `dtype: "f16"`, "convert the model". Whoever typed
 * a command needs the flag instead, and whoever has files the tool to run.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { flagName, optionsOf } from "../options/table.ts";
import { inRepository, toolCommand, toolName } from "./place.ts";

/** Advice of the core, and what replaces it: the tool to run or the file to copy. */
const tools: readonly (readonly [core: RegExp, host: string])[] = [
  [
    /^(Found no WebGPU adapter: .* driver is needed)$/,
    `$1; on Debian and Ubuntu mesa-vulkan-drivers${
      inRepository ? ", which `sh tools/setup.sh` installs," : ""
    } is a software driver where there is no GPU`,
  ],
  [
    /give landmarks\.weave among the model's files/,
    `run ${toolCommand("sh tools/setup.sh --with-landmarks")}${
      inRepository ? ", or" : " and"
    } put landmarks.weave into the model's folder`,
  ],
  [
    /give face_detector\.weave among the model's files/,
    `copy it from weights/mini${
      inRepository ? "" : " of this package"
    } into the model's folder`,
  ],
  [
    /has no preview\.json; give one among its files$/,
    `has no preview.json; make one with ${toolName("tools/preview.ts")}`,
  ],
  [
    /\bfit it again(?=, or delete it$)/,
    `fit it again with ${toolName("tools/preview.ts")}`,
  ],
  [
    /\bconvert the model(?=[,;]|$)/,
    `convert the model with ${toolName("tools/convert.ts")}`,
  ],
  [
    /convert TAESD into the model's folder, or give its file as taesd$/,
    `convert TAESD into the model's folder with ${
      toolName("tools/convert.ts")
    }, or give its .weave file with --taesd`,
  ],
];

/** Options that a message names with a value, as in `dtype: "f16"`. */
const WITH_VALUE = /\b(dtype|face|fit|upscale): (?:"(\w+)"|(N)\b)/g;

/** Options that a message may name without a value: in camel case, unlike English. */
const alone = [...optionsOf("image"), ...optionsOf("command")].map(({ name }) =>
  name
)
  .filter((name) => /[A-Z]/.test(name)).join("|");
/** Not in a path or a longer name, nor after "Option", where `exit.ts` replaces it. */
const ALONE = new RegExp(
  `(?<!Option |[\\w./\\\\-])(?:${alone})(?![\\w./\\\\-])`,
  "g",
);

/**
 * An option's flag: `guidanceScale` is typed as `--guidance-scale`.
 *
 * @example
 * ```ts
 * import { flagOf } from "./advice.ts";
 *
 * console.log(flagOf("guidanceScale")); // "--guidance-scale"
 * ```
 */
export function flagOf(option: string): string {
  return `--${flagName(option)}`;
}

/**
 * A message of the core with the tools to run.
 *
 * @example
 * ```ts
 * import { withTools } from "./advice.ts";
 *
 * console.log(withTools("The model has no vae.weave: convert the model"));
 * // "The model has no vae.weave: convert the model with tools/convert.ts"
 * ```
 */
export function withTools(message: string): string {
  return tools.reduce(
    (text, [core, host]) => text.replace(core, host),
    message,
  );
}

/**
 * A message of the core as the command shows it: with the tools to run, and
 * options as they are typed.
 *
 * @example
 * ```ts
 * import { withFlags } from "./advice.ts";
 *
 * console.log(withFlags('Too large; use dtype: "f16", or a lower idScale'));
 * // "Too large; use --dtype f16, or a lower --id-scale"
 * ```
 */
export function withFlags(message: string): string {
  return withTools(message)
    .replace(
      WITH_VALUE,
      (_, name, word, number) => `${flagOf(name)} ${word ?? number}`,
    )
    .replace(ALONE, flagOf)
    .replace(/\bgive another face$/, "give another --face");
}

/** An error of the core with the tools to run in its message; others unchanged. */
export function errorWithTools(error: unknown): unknown {
  if (!(error instanceof MasterWeaverError)) return error;
  const message = withTools(error.message);
  return message === error.message
    ? error
    : new MasterWeaverError(error.code, message, { cause: error });
}
