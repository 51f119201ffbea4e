/**
 * Options of a command: read from what was typed, and printed by `--help`.
 *
 * @module
 */
import type { OptionType } from "../../options/types.ts";
import { type OptionSpec, parseArguments } from "../../host/arguments.ts";
import { typed, UsageError } from "../../host/exit.ts";

/** An option of a command. */
export interface CommandOption {
  /** What it takes. */
  readonly type: OptionType<unknown>;
  /** What it means, for `--help`. */
  readonly help: string;
  /** As it is typed; said in the help, too. */
  readonly default?: string;
  /** Whether it may be given several times. */
  readonly multiple?: true;
}

/** Options by flag, in the order of `--help`. */
export type CommandOptions = Readonly<Record<string, CommandOption>>;

/**
 * Reads a command line.
 *
 * @returns reads the value of a flag; undefined where it was not given and has no default
 * @throws {UsageError} naming the option, what it takes and what was given
 */
export function readOptions<O extends CommandOptions>(
  args: readonly string[],
  options: O,
): <T>(flag: keyof O & string) => T | undefined {
  const specs = Object.fromEntries(
    Object.entries<CommandOption>(options).map((
      [flag, { type, ...option }],
    ): [string, OptionSpec] => [flag, {
      type: type.form === "switch" ? "boolean" : "string",
      default: option.default,
      multiple: option.multiple,
    }]),
  );
  const { values } = parseArguments(args, specs, "no-positionals");
  return <T>(flag: keyof O & string) => {
    const given = values[flag];
    if (typeof given !== "string") return given as T | undefined;
    return parsed(flag, options[flag].type as OptionType<T>, given);
  };
}

function parsed<T>(flag: string, type: OptionType<T>, text: string): T {
  const value = type.parse(text);
  const fault = value === undefined ? undefined : type.fault(value);
  if (value !== undefined && fault === undefined) return value;
  const why = fault === undefined ? type.takes(text) : `must be ${fault}`;
  throw new UsageError(`Option --${flag} ${why}, got ${typed(text)}`);
}

/** Where an option's meaning begins, and where a line ends. */
const INDENT = 29, WIDTH = 80;

/** The options and what they mean, as `--help` prints them. */
export function optionLines(options: CommandOptions): string {
  return Object.entries(options).map(lines).join("\n");
}

function lines([flag, option]: [string, CommandOption]): string {
  const { type, help } = option;
  const value = option.default === undefined ? "" : ` (${option.default})`;
  const wrapped = [""];
  for (const word of `${help}${value}`.split(" ")) {
    const line = `${wrapped.at(-1)} ${word}`.trimStart();
    if (line.length <= WIDTH - INDENT) wrapped[wrapped.length - 1] = line;
    else wrapped.push(word);
  }
  const name = `  --${flag} ${type.placeholder}`.trimEnd();
  const indent = " ".repeat(INDENT);
  return [name.padEnd(INDENT) + wrapped[0]]
    .concat(wrapped.slice(1).map((line) => indent + line)).join("\n");
}
