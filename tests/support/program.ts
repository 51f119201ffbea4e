/**
 * Runs other people's programs.
 *
 * @module
 */

/** What ended, or why it could not start. */
export interface Ran {
  /** Its exit code; -1 where it did not start. */
  readonly code: number;
  /** Its standard output. */
  readonly out: string;
  /** Its standard error. */
  readonly err: string;
}

/**
 * Runs a program for some milliseconds at most.
 *
 * @param cwd the folder it runs in; by default this process's
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  time: number,
  cwd?: string,
): Promise<Ran> {
  try {
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args: [...args],
      cwd,
      stdin: "null",
      signal: AbortSignal.timeout(time),
    }).output();
    const text = new TextDecoder();
    return { code, out: text.decode(stdout), err: text.decode(stderr) };
  } catch (error) {
    return { code: -1, out: "", err: String(error) };
  }
}
