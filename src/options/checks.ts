/**
 * Options of the library's calls: that there are such, and that each is of its
 * kind. What else a setting must be, `options.ts` checks.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { defaultSettings } from "./options.ts";
import type { CallOptions } from "../base/progress.ts";
import { shown, shownWord } from "../base/shown.ts";

/** What an option must be. */
interface Kind {
  /** Words for it. */
  readonly expected: string;
  /** Whether a value is one. */
  readonly is: (value: unknown) => boolean;
  /** How another one is shown. */
  readonly show?: (value: unknown) => string;
}

type Kinds = Readonly<Record<string, Kind>>;

const yesOrNo: Kind = {
  expected: "true or false",
  is: (value) => typeof value === "boolean",
};
const callback: Kind = {
  expected: "a function",
  is: (value) => typeof value === "function",
};
const path: Kind = {
  expected: "a file's path",
  is: (value) => typeof value === "string" && value !== "",
};
const abortSignal: Kind = {
  expected: "an AbortSignal",
  is: (value) => value instanceof AbortSignal,
};
const store: Kind = {
  expected: "an object with the functions read and write",
  is: (value) =>
    typeof value === "object" && value !== null &&
    "read" in value && typeof value.read === "function" &&
    "write" in value && typeof value.write === "function",
};
/** Checked elsewhere. */
const anything: Kind = { expected: "", is: () => true };

function oneOf(...words: readonly string[]): Kind {
  const last = words.at(-1)!;
  return {
    expected: `${words.slice(0, -1).join(", ")} or ${last}`,
    is: (value) => words.some((word) => word === value),
    show: shownWord,
  };
}

const call: Kinds = {
  onProgress: callback,
  onWarning: callback,
  signal: abortSignal,
};
const turn: Kinds = { whenBusy: oneOf("wait", "refuse") };

/** A call of the library that takes options. */
export type CallName =
  | "load"
  | "encodeIdentity"
  | "generate"
  | "detectFaces"
  | "alignFace";

/** The options of each call. */
const calls: Readonly<Record<CallName, Kinds>> = {
  load: {
    ...call,
    dtype: oneOf("f16", "f32"),
    adapter: path,
    keepLoaded: yesOrNo,
    tune: oneOf("auto", "off", "force"),
    tuneStore: store,
  },
  encodeIdentity: {
    ...call,
    ...turn,
    parse: yesOrNo,
    align: yesOrNo,
    face: anything,
    requireFace: yesOrNo,
    fit: oneOf("crop", "pad"),
  },
  generate: {
    ...call,
    ...turn,
    identity: anything,
    prompt: anything,
    width: anything,
    height: anything,
    ...Object.fromEntries(
      Object.keys(defaultSettings).map((name) => [name, anything]),
    ),
  },
  detectFaces: { signal: abortSignal },
  alignFace: { signal: abortSignal },
};

/**
 * Checks the names and kinds of a call's options; what is undefined is as if it
 * were not given. A name that is nearly an option's is an error; any other that
 * is none, such as what a script keeps beside its settings, is told through
 * `onWarning`.
 *
 * @param of the call
 * @param given its options
 * @throws {MasterWeaverError} `bad-option` that names the option, what it must be and what was given
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
    throw bad(`Options of ${of} must be an object, got ${shown(given)}`);
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
    const { is, expected, show = shown } = kinds[name];
    if (value === undefined || is(value)) continue;
    throw bad(`Option ${name} must be ${expected}, got ${show(value)}`);
  }
  const { onWarning } = given as CallOptions;
  for (const what of others) onWarning?.(`${what} and does nothing`);
}

/**
 * Checks what a model is loaded from, as far as its kind.
 *
 * @param files the model's, by component
 * @param options of the call; another adapter is one of the files
 * @throws {MasterWeaverError} `bad-option` saying what was given
 */
export function checkModelFiles(files: unknown, options: object): void {
  const isFiles = typeof files === "object" && files !== null &&
    !Array.isArray(files) && !(files instanceof Promise) &&
    !(files instanceof URL);
  if (!isFiles) {
    throw bad(
      `Option model must be the model's files by component, got ${
        shown(files)
      }; read them first`,
    );
  }
  if ("adapter" in options && options.adapter !== undefined) {
    throw bad(
      "Option adapter belongs to a model's folder; give the adapter among the model's files, as identity_adapter",
    );
  }
}

function bad(message: string): MasterWeaverError {
  return new MasterWeaverError("bad-option", message);
}
