/**
 * Options of a command: read from what was typed, and printed by `--help`; and
 * those that both commands have.
 *
 * @module
 */
import { table } from "../../options/table.ts";
import { number, type OptionType, path } from "../../options/types.ts";
import { type OptionSpec, parseArguments } from "../../host/arguments.ts";
import { wrap } from "../../host/command/usage.ts";
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

/** How a model is loaded. */
export const loadOptions = {
  adapter: { type: path("FILE"), help: table.adapter.help },
  taesd: { type: path("FILE"), help: table.taesd.help },
  extras: { type: path("DIR"), help: table.extras.help },
  dtype: { type: table.dtype.type, help: table.dtype.help },
  tune: {
    type: table.tune.type,
    default: table.tune.default,
    help: table.tune.help,
  },
} as const satisfies CommandOptions;

/** When a model is let go. */
export const idleRelease = {
  type: number(0, 1e6, "SECONDS"),
  default: "600",
  help: "free the GPU when nothing was asked for that long; 0 for never",
} as const satisfies CommandOption;

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
  const name = `  --${flag} ${type.placeholder}`.trimEnd();
  return wrap(`${help}${value}`, WIDTH - INDENT)
    .map((line, i) => (i === 0 ? name : "").padEnd(INDENT) + line).join("\n");
}
