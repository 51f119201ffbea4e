/**
 * Weights and inputs that are drawn again rather than kept in files, as
 * `tools/reference/drawn_weights.py` draws them for PyTorch.
 *
 * @module
 */
import type { Table } from "../../src/checkpoints/tables/table.ts";
import type { Values } from "../../tools/compare/values.ts";

/** Numbers in −1..1, from a hash of seed and index. */
export function drawn(count: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => {
    let x = i + seed * 1_000_003;
    for (let round = 0; round < 2; round++) {
      x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
    }
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 31 - 1;
  });
}

/** The same as a tensor, with its values transformed. */
export function drawnValues(
  shape: readonly number[],
  seed: number,
  transform: (value: number) => number = (value) => value,
): Values {
  const count = shape.reduce((a, b) => a * b, 1);
  return { shape: [...shape], data: drawn(count, seed).map(transform) };
}

/**
 * The checkpoint of a module that PyTorch filled.
 *
 * @param table its table, whose rows' first names are the module's own
 * @param gain as it was filled with
 * @param renamed what a name is in the checkpoint; the same by default
 */
export function drawnCheckpoint(
  { rows }: Table,
  gain = 1,
  renamed: (names: readonly string[]) => string = ([name]) => name,
): Record<string, { shape: number[]; data: number[] }> {
  const sources = rows.flatMap(({ from }) => from);
  const byName = new Map(sources.map((source) => [source.names[0], source]));
  const sorted = [...byName.keys()].sort();
  return Object.fromEntries(sorted.map((name, seed) => {
    const { names, shape } = byName.get(name)!;
    const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
    const scale = Math.fround(gain * Math.sqrt(3 / fanIn));
    const { data } = drawnValues(
      shape,
      seed + 1,
      (value) =>
        shape.length > 1
          ? value * scale
          : name.endsWith("weight")
          ? 1 + value * 0.25
          : value * 0.125,
    );
    return [renamed(names), { shape: [...shape], data: Array.from(data) }];
  }));
}
