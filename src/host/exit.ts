/**
 * How a command ends: an exit code and one line on stderr, whatever it throws.
 *
 * @module
 */
import process from "node:process";
import { MasterWeaverError } from "../base/errors.ts";
import { flagOf, withFlags } from "./advice.ts";
import { printable } from "../weights/brief.ts";
import { isHostError, isMissingPermission, reason } from "./reasons.ts";
import { writeStderr } from "./streams.ts";
import { removePartials } from "./write.ts";

/** Wrong usage: shown with a hint at `--help`, exit code 2. */
export class UsageError extends Error {
  /** Its name. */
  override readonly name = "UsageError";
}

/**
 * Runs a command's work and turns what it throws into one line.
 *
 * @param work may return an exit code of its own
 * @returns 0 done, 1 failed, 2 wrong usage
 * @throws any other error unchanged: it is a bug of this project
 */
export async function exitCode(
  work: () => Promise<number | void>,
): Promise<number> {
  try {
    return await work() ?? 0;
  } catch (thrown) {
    const error = usageOf(thrown);
    if (error instanceof UsageError) {
      writeStderr(`${oneLine(withFlags(error.message))}; see --help\n`);
      return 2;
    }
    if (error instanceof MasterWeaverError) {
      writeStderr(`${oneLine(withFlags(error.message))}\n`);
      return 1;
    }
    if (isHostError(error)) {
      // The system's own message names the path.
      const why = isMissingPermission(error) ? reason(error) : error.message;
      writeStderr(`Failed: ${oneLine(why)}\n`);
      return 1;
    }
    throw error;
  }
}

/**
 * Turns the core's `bad-option` errors into wrong usage, with the option's name
 * and value as they were typed.
 *
 * @param check refuses a wrong option as `bad-option`
 * @param shown how options were typed
 * @returns what `check` returns
 * @throws {UsageError} naming the flag
 */
export function asUsage<T>(check: () => T, shown: Typed = {}): T {
  try {
    return check();
  } catch (error) {
    throw usageOf(error, shown);
  }
}

/** How options were typed. */
export interface Typed {
  /** Flags by option, where their names differ. */
  readonly flags?: Readonly<Record<string, string>>;
  /** What was typed, by flag; only strings are shown. */
  readonly typed?: Readonly<Record<string, unknown>>;
}

/** A value as it was typed, in a message. */
export function typed(text: string): string {
  return text === "" || /^\s|\s$/.test(text)
    ? JSON.stringify(text.slice(0, 60))
    : text.slice(0, 60);
}

/** The option that an error is about, where it is about one. */
export function wrongOption(error: unknown): string | undefined {
  return error instanceof MasterWeaverError && error.code === "bad-option"
    ? OPTION.exec(error.message)?.[1]
    : undefined;
}

const OPTION = /^Option ([a-z]\w*)/;

/** The error itself, or wrong usage where it is about an option. */
function usageOf(
  error: unknown,
  { flags = {}, typed: values = {} }: Typed = {},
) {
  if (!(error instanceof MasterWeaverError) || error.code !== "bad-option") {
    return error;
  }
  const name = wrongOption(error);
  if (name === undefined) return new UsageError(error.message);
  const flag = flags[name] ?? flagOf(name).slice(2);
  const message = error.message.replace(OPTION, () => `Option --${flag}`);
  const value = values[flag];
  return new UsageError(
    typeof value === "string"
      ? message.replace(/, got .*$/s, () => `, got ${typed(value)}`)
      : message,
  );
}

/**
 * Runs a tool as {@linkcode exitCode} does; Ctrl-C and SIGTERM end it at once
 * and leave no half file.
 */
export async function toolExitCode(
  work: () => Promise<number | void>,
): Promise<number> {
  using _ = endOnSignals();
  return await exitCode(work);
}

/** Until it is disposed of, Ctrl-C and SIGTERM end the process and leave no half file. */
export function endOnSignals(): Disposable {
  return onSignals((signal) => {
    removePartials();
    process.exit(signal === "SIGINT" ? 130 : 143);
  });
}

/**
 * Calls a function at Ctrl-C, and at SIGTERM where the system has it, until it
 * is disposed of.
 */
export function onSignals(
  onSignal: (signal: "SIGINT" | "SIGTERM") => void,
): Disposable {
  const signals = process.platform === "win32"
    ? ["SIGINT"] as const
    : ["SIGINT", "SIGTERM"] as const;
  const listeners = signals.map((signal) => {
    const listener = () => onSignal(signal);
    process.on(signal, listener);
    return { signal, listener };
  });
  return {
    [Symbol.dispose]: () => {
      for (const { signal, listener } of listeners) {
        process.off(signal, listener);
      }
    },
  };
}

/** A text as one line that a terminal shows and does not obey. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s*\n\s*/g, " "));
}
