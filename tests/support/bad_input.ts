/**
 * Bad input of the command: one clear line, an exit code, and nothing written.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { command } from "./command.ts";
import { repositoryPath } from "./paths.ts";

/** A photo that can be used. */
export const demo = repositoryPath("weights/mini/demo.png");

/** A kind of bad input. */
export interface BadInput {
  /** What is wrong. */
  readonly what: string;
  /** Makes what is needed in the folder, which is empty and the process' own; returns the arguments. */
  readonly args: (folder: string) => string[] | Promise<string[]>;
  /** What the line must say. */
  readonly says: RegExp;
  /** 1 where not given. */
  readonly code?: number;
  /** Lines before it; none where not given. */
  readonly notes?: number;
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Arguments after that photo. */
export const withDemo = (...args: string[]) => () => ["--ref", demo, ...args];

/** Registers a test of each. */
export function badInputTests(cases: readonly BadInput[]): void {
  for (const { what, args, says, code = 1, notes = 0, env } of cases) {
    Deno.test(`command: ${what} gets one clear line`, async () => {
      const folder = await Deno.makeTempDir();
      try {
        const given = await args(folder);
        const before = await filesIn(folder);
        // One step, so that input that is not refused does not take long.
        const steps = given.includes("--steps") ? [] : ["--steps=1"];
        const run = await command(
          [...given, ...steps, "--quiet"],
          { cwd: folder, env },
        );
        assertEquals(run.err.length, 1 + notes, run.err.join("\n"));
        assertMatch(run.err[notes], says);
        assertEquals(run.code, code);
        assertEquals(run.out, "");
        assert(/^[A-Z]/.test(run.err[0]), "starts with a capital letter");
        assertEquals(await filesIn(folder), before);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
}

/** Every file below a folder. */
async function filesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) names.push(...await filesIn(path));
    else names.push(path);
  }
  return names.sort();
}
