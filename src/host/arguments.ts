/**
 * Parses a command line. Unlike `node:util`'s parser it accepts values that
 * start with a minus, and suggests the option that was probably meant.
 *
 * @module
 */
import { nearest } from "../base/nearest.ts";
import { UsageError } from "./exit.ts";

/** One option. */
export interface OptionSpec {
  /** `string` takes a value, `boolean` none. */
  readonly type: "string" | "boolean";
  /** Whether it may be given several times. */
  readonly multiple?: boolean;
  /** Its value when it is not given. */
  readonly default?: string | boolean;
}

/** Options by name; `help` is also `-h`. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/**
 * What to do instead, such as "give --out", by the names of options that other
 * programs have: in small letters, without dashes in front.
 */
export type Hints = Readonly<Record<string, string>>;

/** The value of one option. */
export type ValueOf<S extends OptionSpec> = S["multiple"] extends true
  ? string[] | undefined
  :
    | (S["type"] extends "string" ? string : boolean)
    | (undefined extends S["default"] ? undefined : never);

/** Values by option. */
export type OptionValues<S extends OptionSpecs> = {
  [N in keyof S]: ValueOf<S[N]>;
};

/** A parsed command line. */
export interface Arguments<S extends OptionSpecs> {
  /** The options' values; the last one wins, unless several are allowed. */
  readonly values: OptionValues<S>;
  /** Words that belong to no option. */
  readonly positionals: string[];
}

/**
 * Parses a command line.
 *
 * @param args what was typed
 * @param specs the options
 * @param positionals whether words that belong to no option are allowed
 * @param hints what to give instead of options that other programs have
 * @throws {UsageError} naming what was typed
 */
export function parseArguments<const S extends OptionSpecs>(
  args: readonly string[],
  specs: S,
  positionals: "positionals" | "no-positionals",
  hints: Hints = {},
): Arguments<S> {
  const values: Record<string, string | boolean | string[] | undefined> = {};
  for (const [name, spec] of Object.entries(specs)) values[name] = spec.default;
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--") {
      words.push(...args.slice(i + 1));
      break;
    }
    if (arg === "-" || !arg.startsWith("-")) {
      words.push(arg);
      continue;
    }
    const { name, spec, inline } = findOption(arg, specs, hints);
    if (spec.type === "boolean") {
      if (inline !== undefined) {
        throw new UsageError(`Option --${name} takes no value, got ${inline}`);
      }
      values[name] = true;
      continue;
    }
    const value = inline ?? valueAfter(name, args[++i], specs);
    if (spec.multiple) {
      values[name] = [...values[name] as string[] | undefined ?? [], value];
    } else values[name] = value;
  }
  if (positionals === "no-positionals" && words.length > 0) {
    throw new UsageError(
      `The word ${
        JSON.stringify(words[0].slice(0, 60))
      } belongs to no option; put a text of several words in quotes`,
    );
  }
  return { values: values as OptionValues<S>, positionals: words };
}

/** The option that an argument names. */
function findOption(arg: string, specs: OptionSpecs, hints: Hints) {
  if (arg === "-h" && Object.hasOwn(specs, "help")) {
    return { name: "help", spec: specs.help, inline: undefined };
  }
  const [, typed, inline] = /^--([^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
  if (typed !== undefined && Object.hasOwn(specs, typed)) {
    return { name: typed, spec: specs[typed], inline };
  }
  const shown = (typed === undefined ? arg : `--${typed}`).slice(0, 60);
  const other = typed?.toLowerCase().replaceAll("_", "-") ?? "";
  if (Object.hasOwn(hints, other)) {
    throw new UsageError(`Option ${shown} is unknown; ${hints[other]}`);
  }
  const near = nearest(shown.replace(/^-+/, ""), Object.keys(specs));
  throw new UsageError(
    `Option ${shown} is unknown${near ? `; did you mean --${near}?` : ""}`,
  );
}

/** The value after an option: it may start with a minus, but not be an option. */
function valueAfter(
  name: string,
  value: string | undefined,
  specs: OptionSpecs,
): string {
  if (value === undefined) {
    throw new UsageError(`Option --${name} needs a value`);
  }
  const option = value === "-h" ? "help" : /^--([^=]+)/.exec(value)?.[1];
  if (option !== undefined && Object.hasOwn(specs, option)) {
    throw new UsageError(
      `Option --${name} needs a value, got the option ${value}; write --${name}=${value} where that is its value`,
    );
  }
  return value;
}
