/**
 * The command of the npm package.
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { exitCode, UsageError } from "../exit.ts";
import { toolCommand } from "../place.ts";
import { main } from "./command.ts";

/** Runs the command and sets the process's exit code. */
export async function run(args: readonly string[]): Promise<void> {
  const folder = new URL("../../../weights/mini", import.meta.url);
  process.exitCode = await exitCode(async () => {
    const [word] = args;
    if (word === "serve" || word === "work") {
      throw new UsageError(
        `The studio is not in this package: give ${
          toolCommand(`deno run -A mod.ts ${word}`)
        }`,
      );
    }
    return await main(args, fileURLToPath(folder), "masterweaver-webgpu");
  });
}
