/**
 * Whether the runtime is new enough. Nothing else of this project is imported
 * here: an old runtime must come as far as saying so.
 *
 * @module
 */
import process from "node:process";

/**
 * What to do about a runtime that is too old; undefined where it is not.
 *
 * @example
 * ```ts
 * import { runtimeFault } from "./runtime.ts";
 *
 * console.log(runtimeFault()); // undefined
 * ```
 */
export function runtimeFault(): string | undefined {
  // Of all that is used here, runtimes have this last.
  if (typeof AsyncDisposableStack === "function") return;
  const { bun, deno, node }: Readonly<Record<string, string | undefined>> =
    process.versions;
  for (const [name, found] of [["Bun", bun], ["Deno", deno]]) {
    if (found !== undefined) {
      return `A newer ${name} is needed, this is ${found}; update it with \`${name?.toLowerCase()} upgrade\``;
    }
  }
  return `Node 24 or later is needed, this is ${node}; update it, or take Bun: \`bunx --bun masterweaver-webgpu\``;
}
