#!/usr/bin/env node
/**
 * The command in Node and Bun, `masterweaver-webgpu` of the npm package; in Deno
 * it is `mod.ts`.
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { main } from "./command.ts";

const model = fileURLToPath(new URL("../../../weights/mini", import.meta.url));
const args = process.argv.slice(2);
process.exitCode = await main(args, model, "npx masterweaver-webgpu");
