/**
 * Weights of many bytes that no file has.
 *
 * @module
 */
import type { StoredParameter } from "../../src/graph/weight_store.ts";

/** A weight of 16 MiB that is read in chunks of 4. */
export function largeWeight(i: number): StoredParameter {
  const name = `weight ${i}`;
  const shape = [8 * 2 ** 20];
  const bytes = 16 * 2 ** 20;
  const length = 4 * 2 ** 20;
  async function* chunks() {
    for (let at = 0; at < bytes; at += length) {
      yield await Promise.resolve(new Uint8Array(length).fill(i + 1));
    }
  }
  const tensor = { name, dtype: "f16", shape, bytes, chunks } as const;
  const ref = { name, shape, tensor };
  return { ref, dtype: "f16", layout: "rows", trainable: false };
}
