#!/usr/bin/env node
/**
 * The command in Node and Bun, `masterweaver-webgpu` of the npm package; in Deno
 * it is `mod.ts`.
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { exitCode, UsageError } from "../exit.ts";
import { main } from "./command.ts";

const model = fileURLToPath(new URL("../../../weights/mini", import.meta.url));
const args = process.argv.slice(2);
process.exitCode = await exitCode(async () => {
  const [word] = args;
  if (word === "serve" || word === "work") {
    throw new UsageError(
      `The studio is not in this package: give \`deno run -A mod.ts ${word}\` in the repository`,
    );
  }
  return await main(args, model, "npx masterweaver-webgpu");
});
