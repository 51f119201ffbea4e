/**
 * How a command ends: an exit code and one line on stderr, whatever it throws.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";
import { isHostError, reason } from "./reasons.ts";
import { tell } from "./streams.ts";
import { removePartials } from "./write.ts";

/** Wrong usage: told with a hint, exit code 2. */
export class UsageError extends Error {
  /** Its name. */
  override readonly name = "UsageError";
}

/**
 * Runs a command's work and turns what it throws into one line.
 *
 * @param work may return an exit code of its own
 * @returns 0 done, 1 failed, 2 wrong usage
 * @throws what is no error of a user's, as it came: a fault of this project
 */
export async function exitCode(
  work: () => Promise<number | void>,
): Promise<number> {
  try {
    return await work() ?? 0;
  } catch (error) {
    if (error instanceof UsageError) {
      tell(`${oneLine(error.message)}; see --help\n`);
      return 2;
    }
    if (error instanceof MasterWeaverError) {
      tell(`${oneLine(error.message)}\n`);
      return error.code === "bad-option" ? 2 : 1;
    }
    if (isHostError(error)) {
      // The system's own message names the path.
      const isPermission = error instanceof Deno.errors.NotCapable;
      const why = isPermission ? reason(error) : error.message;
      tell(`Failed: ${oneLine(why)}\n`);
      return 1;
    }
    throw error;
  }
}

/**
 * Runs a tool as {@linkcode exitCode} does; Ctrl-C and SIGTERM end it at once
 * and leave no half file.
 */
export async function toolExitCode(
  work: () => Promise<number | void>,
): Promise<number> {
  using _ = onSignals((signal) => {
    removePartials();
    Deno.exit(signal === "SIGINT" ? 130 : 143);
  });
  return await exitCode(work);
}

/**
 * Calls a function at Ctrl-C, and at SIGTERM where the system has it, until it
 * is disposed of.
 */
export function onSignals(
  heard: (signal: "SIGINT" | "SIGTERM") => void,
): Disposable {
  const signals = Deno.build.os === "windows"
    ? ["SIGINT"] as const
    : ["SIGINT", "SIGTERM"] as const;
  const listeners = signals.map((signal) => {
    const listener = () => heard(signal);
    Deno.addSignalListener(signal, listener);
    return { signal, listener };
  });
  return {
    [Symbol.dispose]: () => {
      for (const { signal, listener } of listeners) {
        Deno.removeSignalListener(signal, listener);
      }
    },
  };
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}
