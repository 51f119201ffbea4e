#!/usr/bin/env node
/**
 * Starts the command in Node and Bun, where they are new enough:
 * `masterweaver-webgpu` of the npm package; in Deno it is `mod.ts`.
 *
 * @module
 */
import process from "node:process";
import { runtimeFault } from "../runtime.ts";

const fault = runtimeFault();
if (fault === undefined) {
  // Only now: an old runtime fails on what this imports.
  const { run } = await import("./program.ts");
  await run(process.argv.slice(2));
} else {
  process.stderr.write(`${fault}\n`);
  process.exitCode = 1;
}
