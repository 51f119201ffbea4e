/**
 * A command line by its options. Unlike `node:util`'s parser it takes values
 * that start with a minus as they are written, and says which option was meant.
 *
 * @module
 */
import { nearest } from "../base/nearest.ts";
import { UsageError } from "./exit.ts";

/** One option. */
export interface OptionSpec {
  /** Whether a value belongs to it. */
  readonly type: "string" | "boolean";
  /** Whether it may come several times. */
  readonly multiple?: boolean;
  /** Its value where it is not given. */
  readonly default?: string | boolean;
}

/** Options by name; `help` is also `-h`. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

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

/** A command line, taken apart. */
export interface Arguments<S extends OptionSpecs> {
  /** What the options say; of one that came several times, the last. */
  readonly values: OptionValues<S>;
  /** What belongs to no option. */
  readonly positionals: string[];
}

/**
 * Takes a command line apart.
 *
 * @param args what was typed
 * @param specs the options there are
 * @param positionals whether words that belong to no option are allowed
 * @throws {UsageError} that names what was typed
 */
export function parseArguments<const S extends OptionSpecs>(
  args: readonly string[],
  specs: S,
  positionals: "positionals" | "no-positionals",
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
    const { name, spec, inline } = known(arg, specs);
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
function known(arg: string, specs: OptionSpecs) {
  if (arg === "-h" && Object.hasOwn(specs, "help")) {
    return { name: "help", spec: specs.help, inline: undefined };
  }
  const [, typed, inline] = /^--([^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
  if (typed !== undefined && Object.hasOwn(specs, typed)) {
    return { name: typed, spec: specs[typed], inline };
  }
  const shown = (typed === undefined ? arg : `--${typed}`).slice(0, 60);
  const near = nearest(shown.replace(/^-+/, ""), Object.keys(specs));
  throw new UsageError(
    `Option ${shown} is unknown${near ? `; did you mean --${near}?` : ""}`,
  );
}

/** A value may start with a minus; it may not be another option. */
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
