/**
 * What every tool shares: options that say what they mean, `--help`, one line
 * and an exit code for what goes wrong, signals, output for people and programs.
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  type Hints,
  type OptionSpec,
  parseArguments,
} from "../src/host/arguments.ts";
import { exitCode, toolExitCode, UsageError } from "../src/host/exit.ts";
import { print, writeStderr } from "../src/host/streams.ts";
import { printable } from "../src/weights/brief.ts";

/** How an option is typed, and what its text means. */
export interface Option<T> extends OptionSpec {
  /**
   * Its value.
   *
   * @throws {UsageError} that names the option
   */
  readonly read: (given: Given, name: string) => T;
}

/** What was typed for an option. */
type Given = string | boolean | readonly string[] | undefined;

/** Options by name. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** Values by option. */
export type Values<O extends Options> = {
  readonly [N in keyof O]: O[N] extends Option<infer T> ? T : never;
};

/** Gives a text its meaning, or refuses it by the option's name. */
export type Reader<T> = (text: string, name: string) => T;

/** An option without a value. */
export const flag: Option<boolean> = {
  type: "boolean",
  default: false,
  read: (given) => given === true,
};

/** An option that need not be given. */
export function option<T>(read: Reader<T>): Option<T | undefined>;
/** An option that stands for a text where it is not given. */
export function option<T>(read: Reader<T>, standard: string): Option<T>;
/** An option with a value. */
export function option<T>(
  read: Reader<T>,
  standard?: string,
): Option<T | undefined> {
  return {
    type: "string",
    default: standard,
    read: (given, name) =>
      given === undefined ? undefined : read(String(given), name),
  };
}

/** An option that may come several times. */
export function repeatable<T>(read: Reader<T>): Option<T[] | undefined> {
  return {
    type: "string",
    multiple: true,
    read: (given, name) =>
      (given as readonly string[] | undefined)?.map((text) => read(text, name)),
  };
}

/** A text as it is. */
export const text: Reader<string> = (value) => value;

/** A whole number. */
export function whole(least: number, most = 999_999_999): Reader<number> {
  const range = most < 999_999_999
    ? ` from ${least} to ${most}`
    : least > 0
    ? ` from ${least}`
    : "";
  return (value, name) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    return refuse(name, value, `a whole number${range}`);
  };
}

/** One of several words. */
export function oneOf<const W extends string>(words: readonly W[]): Reader<W> {
  return (value, name) =>
    words.find((word) => word === value) ??
      refuse(name, value, words.join(words.length === 2 ? " or " : ", "));
}

/** Values with commas between. */
export function listOf<T>(read: Reader<T>): Reader<T[]> {
  return (value, name) => value.split(",").map((part) => read(part, name));
}

/** Refuses an option's value. */
export function refuse(name: string, value: string, expected: string): never {
  throw new UsageError(`--${name} is ${value || "''"}, expected ${expected}`);
}

/** Everything that is peculiar to a tool. */
export interface Tool<O extends Options> {
  /** What `--help` prints. */
  readonly usage: string;
  /** Its options, but for `--help`. */
  readonly options: O;
  /** Whether words that belong to no option are taken. */
  readonly words?: boolean;
  /** What to give instead of options that other programs have. */
  readonly hints?: Hints;
  /** Whether it stops in order by itself; others end at once at Ctrl-C. */
  readonly stopsItself?: boolean;
  /** Its work; may return an exit code of its own. */
  run(
    values: Values<O>,
    words: readonly string[],
  ): Promise<number | void>;
}

/**
 * Makes a tool's `main`.
 *
 * @returns what takes the arguments after the script's name and gives the exit
 * code: 0 done, 1 failed, 2 wrong usage
 */
export function toolMain<O extends Options>(
  tool: Tool<O>,
): (args: readonly string[]) => Promise<number> {
  const guard = tool.stopsItself ? exitCode : toolExitCode;
  return (args) =>
    guard(async () => {
      const asked = readOptions(args, tool.options, tool.words, tool.hints);
      if (asked === "help") return print(`${tool.usage.trimEnd()}\n`);
      return await tool.run(asked.values, asked.words);
    });
}

/**
 * Reads a command line.
 *
 * @returns the options' values, unless help was asked for
 * @throws {UsageError} with what was given and what was expected
 */
export function readOptions<O extends Options>(
  args: readonly string[],
  options: O,
  words = false,
  hints: Hints = {},
): { values: Values<O>; words: readonly string[] } | "help" {
  const { values: given, positionals } = parseArguments(
    args,
    { ...options, help: flag },
    words ? "positionals" : "no-positionals",
    hints,
  );
  if (given.help) return "help";
  const values = Object.entries(options).map(([name, { read }]) =>
    [name, read((given as Record<string, Given>)[name], name)] as const
  );
  return {
    values: Object.fromEntries(values) as Values<O>,
    words: positionals,
  };
}

/** Prints one line of JSON; what a terminal would obey is escaped. */
export function printJson(value: unknown): void {
  print(`${printable(JSON.stringify(value))}\n`);
}

/** What a tool tells on stderr while it works; nothing with `--quiet`. */
export function talk(quiet: boolean): {
  readonly report: (line: string) => void;
  /** Whether progress bars are drawn. */
  readonly progress: boolean;
} {
  return {
    report: quiet ? () => {} : (line) => writeStderr(`${printable(line)}\n`),
    progress: !quiet && process.stderr.isTTY === true,
  };
}

/** A count with its noun: `1 face`, `2 faces`. */
export function counted(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}

/** A file of this repository. */
export function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}
