/** What a test keeps under a key: 4 to 40 KB. */
export function cachedValues(key: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    { length: 1000 + 300 * (key % 30) },
    (_, i) => i + key,
  );
}
