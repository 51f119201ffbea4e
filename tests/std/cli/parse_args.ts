/**
 * The part of `jsr:@std/cli/parse-args` that the tools use: string, boolean and
 * collected flags, defaults, aliases, `--no-…`, unknown flags told.
 *
 * @module
 */

/** What flags there are. */
export interface ParseOptions {
  /** Flags that take a text. */
  string?: readonly string[];
  /** Flags that take nothing. */
  boolean?: readonly string[];
  /** Text flags that may come several times. */
  collect?: readonly string[];
  /** Boolean flags that `--no-…` switches off. */
  negatable?: readonly string[];
  /** Values where a flag is absent. */
  default?: Readonly<Record<string, unknown>>;
  /** Other names of flags. */
  alias?: Readonly<Record<string, string>>;
  /** Called for what is no known flag; `false` leaves it out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  /** Whether the first argument that is no flag ends the flags. */
  stopEarly?: boolean;
  /** Whether what follows `--` is kept apart, under `"--"`. */
  "--"?: boolean;
}

/** Flags by name; `_` holds what is no flag. */
export interface Args {
  /** What is no flag, in order. */
  _: (string | number)[];
  /** A flag's value. */
  // deno-lint-ignore no-explicit-any
  [name: string]: any;
}

/** Parses arguments as `@std/cli` does. */
export function parseArgs(
  args: readonly string[],
  options: ParseOptions = {},
): Args {
  const strings = new Set([
    ...options.string ?? [],
    ...options.collect ?? [],
  ]);
  const booleans = new Set(options.boolean);
  const collected = new Set(options.collect);
  const aliases = new Map<string, string>();
  for (const [name, other] of Object.entries(options.alias ?? {})) {
    if (strings.has(name) || booleans.has(name)) aliases.set(other, name);
    else aliases.set(name, other);
  }
  const result: Args = { _: [] };
  for (const name of booleans) result[name] = false;
  for (const name of collected) result[name] = [];
  Object.assign(result, structuredClone(options.default ?? {}));
  const set = (name: string, value: unknown) => {
    if (collected.has(name)) result[name].push(value);
    else result[name] = value;
  };

  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--") {
      const rest = args.slice(i + 1);
      if (options["--"]) result["--"] = rest;
      else result._.push(...rest);
      break;
    }
    const match = /^--?([^=]+)(?:=(.*))?$/s.exec(arg);
    if (!match || arg === "-") {
      if (options.unknown?.(arg) !== false) result._.push(arg);
      if (options.stopEarly) {
        result._.push(...args.slice(i + 1));
        break;
      }
      continue;
    }
    const name = aliases.get(match[1]) ?? match[1];
    const positive = name.replace(/^no-/, "");
    if (name !== positive && options.negatable?.includes(positive)) {
      set(positive, false);
    } else if (booleans.has(name)) {
      set(name, match[2] !== "false");
    } else if (strings.has(name)) {
      const hasNext = args[i + 1] !== undefined &&
        !args[i + 1].startsWith("--");
      set(name, match[2] ?? (hasNext ? args[++i] : ""));
    } else if (options.unknown?.(arg, name, match[2] ?? true) !== false) {
      set(name, match[2] ?? true);
    }
  }
  return result;
}
