/**
 * Runs the command as its users do: as a process of its own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { repositoryPath } from "./paths.ts";

/** What a finished process left. */
export interface Finished {
  /** Its exit code. */
  readonly code: number;
  /** Its standard output. */
  readonly out: string;
  /** The lines of its standard error. */
  readonly err: readonly string[];
}

/** How a script is started. */
export interface Start {
  /** The folder it runs in. */
  readonly cwd?: string;
  /** Environment variables beside the test's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A process of Deno, not yet finished. */
export function deno(
  args: readonly string[],
  { cwd, env }: Start = {},
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Waits for a process. */
export async function finished(child: Deno.ChildProcess): Promise<Finished> {
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return {
    code,
    out: decoder.decode(stdout),
    err: decoder.decode(stderr).split("\n").filter((line) => line !== ""),
  };
}

/** Runs `mod.ts` with arguments. */
export async function command(
  args: readonly string[],
  start?: Start,
): Promise<Finished> {
  return await finished(
    deno(["run", "-A", repositoryPath("mod.ts"), ...args], start),
  );
}

/** Runs `mod.ts` in a folder, and requires that it succeeds. */
export async function made(
  folder: string,
  ...args: string[]
): Promise<{ notes: readonly string[]; out: string }> {
  const { code, err, out } = await command(args, { cwd: folder });
  assertEquals(code, 0, err.join("\n"));
  return { notes: err, out };
}
