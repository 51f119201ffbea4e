/**
 * Checks the names and types of the options of the library's calls. `options.ts`
 * checks the settings of an image against a model.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import type { CallOptions } from "../base/progress.ts";
import { formatValue } from "../base/format_value.ts";
import { componentNames } from "../weights/components.ts";
import { type OptionGroup, optionsOf } from "./table.ts";
import {
  checkValue,
  choice,
  integer,
  number,
  type OptionType,
} from "./types.ts";

/** What an option must be, as far as it is checked here. */
type Kind = Pick<OptionType<unknown>, "fault" | "show">;
type Kinds = Readonly<Record<string, Kind>>;

/** A value that only a function can check. */
function object(expected: string, is: (value: unknown) => boolean): Kind {
  return {
    fault: (value) => is(value) ? undefined : expected,
    show: formatValue,
  };
}

const callback = object("a function", (value) => typeof value === "function");
const abortSignal = object(
  "an AbortSignal",
  (value) => value instanceof AbortSignal,
);
const store = object(
  "an object with the functions read and write",
  (value) =>
    typeof value === "object" && value !== null &&
    "read" in value && typeof value.read === "function" &&
    "write" in value && typeof value.write === "function",
);
function isSources(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    !Array.isArray(value) && Object.values(value).every(isByteSource);
}

/** Checked elsewhere. */
const anything = object("", () => true);

const call: Kinds = {
  onProgress: callback,
  onWarning: callback,
  signal: abortSignal,
};
const turn: Kinds = { whenBusy: choice("wait", "refuse") };

/** The table's options of a group. */
function ofGroup(group: OptionGroup): Kinds {
  return Object.fromEntries(
    optionsOf(group).map(({ name, type }) => [name, type]),
  );
}

/** A call of the library that takes options. */
export type CallName =
  | "load"
  | "encodeIdentity"
  | "generate"
  | "upscale"
  | "detectFaces"
  | "alignFace";

/** The options of each call. */
const calls: Readonly<Record<CallName, Kinds>> = {
  load: { ...call, ...ofGroup("load"), tuneStore: store },
  encodeIdentity: { ...call, ...turn, ...ofGroup("identity") },
  generate: {
    ...call,
    ...turn,
    onPreview: callback,
    previewInterval: number(0, 60_000),
    previews: choice("latents", "taesd"),
    upscalers: object("an object of ByteSources by name", isSources),
    identity: anything,
    initImage: anything,
    mask: anything,
    loras: anything,
    promptLoras: anything,
    controls: anything,
    embeddings: object("an object of ByteSources by name", isSources),
    ...Object.fromEntries(
      optionsOf("image").map(({ name }) => [name, anything]),
    ),
  },
  upscale: {
    ...call,
    ...turn,
    upscaler: object("an upscaler's ByteSource", isByteSource),
    upscaleBy: number(1, 8),
    tile: integer(32, 1024),
    overlap: integer(0, 256),
  },
  detectFaces: { signal: abortSignal },
  alignFace: { signal: abortSignal },
};

/**
 * Checks the names and types of a call's options; undefined values count as not
 * given. An unknown name that is close to an option's is an error; any other,
 * such as what a script keeps beside its settings, is only a warning.
 *
 * @param of the call
 * @param given its options
 * @throws {MasterWeaverError} `bad-option` naming the option, what it must be and what was given
 *
 * @example
 * ```ts
 * import { checkOptions } from "./checks.ts";
 *
 * checkOptions("load", { keepLoaded: true });
 * ```
 */
export function checkOptions(of: CallName, given: unknown): void {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw bad(`Options of ${of} must be an object, got ${formatValue(given)}`);
  }
  const kinds = calls[of];
  const others: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(kinds, name)) {
      const near = nearest(name, Object.keys(kinds));
      const what = `Option ${name.slice(0, 60)} of ${of} is unknown`;
      if (near) throw bad(`${what}; did you mean ${near}?`);
      others.push(what);
      continue;
    }
    if (value !== undefined) checkValue(name, kinds[name], value);
  }
  const { onWarning } = given as CallOptions;
  for (const what of others) onWarning?.(`${what} and does nothing`);
}

/**
 * Checks that a model is given as its files.
 *
 * @param files the model's files by component
 * @param options of the call; `adapter` is refused, as it must be among the files
 * @throws {MasterWeaverError} `bad-option` saying what was given
 */
export function checkModelFiles(files: unknown, options: object): void {
  const isFiles = typeof files === "object" && files !== null &&
    !Array.isArray(files) && !(files instanceof Promise) &&
    !(files instanceof URL);
  if (!isFiles) {
    throw bad(
      `Option model must be the model's files by component, got ${
        formatValue(files)
      }; read them first`,
    );
  }
  const given = files as Readonly<Record<string, unknown>>;
  for (const name of [...componentNames, "manifest", "preview"]) {
    const file = given[name];
    if (file !== undefined && !isByteSource(file)) {
      const isBytes = file instanceof Uint8Array || file instanceof ArrayBuffer;
      throw bad(
        `Option model must have a ByteSource as ${name}, an object with name, size and read, got ${
          isBytes ? "bytes; give new MemorySource(bytes)" : formatValue(file)
        }`,
      );
    }
  }
  refusePath(
    options,
    "adapter",
    "give the adapter among the model's files, as identity_adapter",
  );
  refusePath(
    options,
    "taesd",
    "give the tiny autoencoder among the model's files, as taesd",
  );
}

/** Refuses a path where only files can be given. */
function refusePath(options: object, name: string, advice: string): void {
  if (
    Object.entries(options).some(([key, value]) =>
      key === name && value !== undefined
    )
  ) {
    throw bad(`Option ${name} belongs to a model's folder; ${advice}`);
  }
}

function isByteSource(value: unknown): value is ByteSource {
  if (typeof value !== "object" || value === null) return false;
  const { name, size, read }: { [K in keyof ByteSource]?: unknown } = value;
  return typeof name === "string" && typeof read === "function" &&
    Number.isSafeInteger(size) && Number(size) >= 0;
}

function bad(message: string): MasterWeaverError {
  return new MasterWeaverError("bad-option", message);
}
