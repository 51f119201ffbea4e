/**
 * The median of many numbers, without sorting them.
 *
 * @module
 */
import { inChunks, Pauser } from "../base/pauser.ts";

/**
 * The median: the middle value, or the mean of the middle two, in f32.
 *
 * @param values at least one; no NaN
 * @param pauser when to pause
 * @throws {MasterWeaverError} `aborted`
 *
 * @example
 * ```ts
 * import { median } from "./median.ts";
 *
 * console.log(await median(Float32Array.of(9, 1, 4, 2))); // 3
 * ```
 */
export async function median(
  values: Float32Array,
  pauser: Pauser = new Pauser(),
): Promise<number> {
  const half = values.length >> 1;
  const upper = await valueAt(values, half, pauser);
  if (values.length % 2 === 1) return upper;
  const lower = await valueAt(values, half - 1, pauser);
  return Math.fround(Math.fround(lower + upper) / 2);
}

/** The value at an index of the sorted values: the upper half of its bits, then the lower. */
async function valueAt(
  values: Float32Array,
  place: number,
  pauser: Pauser,
): Promise<number> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const counts = new Uint32Array(1 << 16);
  await inChunks(bits.length, pauser, (start, end) => {
    for (let i = start; i < end; i++) counts[orderOf(bits[i]) >>> 16]++;
  });
  const high = bucketOf(counts, place);
  counts.fill(0);
  await inChunks(bits.length, pauser, (start, end) => {
    for (let i = start; i < end; i++) {
      const order = orderOf(bits[i]);
      if (order >>> 16 === high.bucket) counts[order & 0xffff]++;
    }
  });
  const low = bucketOf(counts, place - high.before);
  const order = Uint32Array.of(high.bucket * 0x10000 + low.bucket);
  order[0] = order[0] >>> 31 ? order[0] ^ 0x80000000 : ~order[0];
  return new Float32Array(order.buffer)[0];
}

/** The bits of an f32 as a whole number in the same order as the values. */
function orderOf(bits: number): number {
  return (bits >>> 31 ? ~bits : bits ^ 0x80000000) >>> 0;
}

/** The bucket that holds a sorted index, and how many values come before it. */
function bucketOf(
  counts: Uint32Array,
  place: number,
): { bucket: number; before: number } {
  let bucket = 0, before = 0;
  while (before + counts[bucket] <= place) before += counts[bucket++];
  return { bucket, before };
}
