/**
 * Every op that src/ops exports.
 *
 * @module
 */
import type { AnyOp } from "../../src/graph/graph.ts";

/** The ops by their symbols. */
export async function allOps(
  folder = new URL("../../src/ops/", import.meta.url),
): Promise<Map<string, AnyOp>> {
  const ops = new Map<string, AnyOp>();
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory && !name.endsWith(".ts")) continue;
    const url = new URL(isDirectory ? `${name}/` : name, folder);
    const found = isDirectory
      ? await allOps(url)
      : opsOf(await import(url.href));
    for (const [symbol, op] of found) ops.set(symbol, op);
  }
  return ops;
}

function opsOf(module: Readonly<Record<string, unknown>>) {
  return Object.entries(module).filter((entry): entry is [string, AnyOp] => {
    const [, value] = entry;
    return typeof value === "object" && value !== null && "kernels" in value;
  });
}
