/**
 * A rank that makes every collective call and prints what it got as one line of
 * JSON.
 *
 * @module
 */
import { openMpi } from "../../../src/host/mpi/communicator.ts";
import { runAsRank } from "../../../src/host/mpi/rank.ts";
import { requireSame } from "../../../src/train/distributed/agreement.ts";

/** Numbers of many magnitudes, so that the order of a sum shows in its bits. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed + 1;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 10 ** (state % 7 - 3);
  });
}

async function digest(values: Float32Array<ArrayBuffer>): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", values);
  return new Uint8Array(hash).toHex();
}

const ranks = await openMpi({ warn: (message) => console.error(message) });
await runAsRank(ranks, async () => {
  const { rank, size, host } = ranks;
  const known = Float32Array.of(rank + 1, 10 * rank, -rank, 0.5);
  const large = new Float32Array(numbers(1_000_003, rank));
  const small = new Float32Array(numbers(7, rank));
  const text = new TextEncoder().encode(rank === 1 ? "from one" : "--------");
  // None is awaited before the next: they are made in order all the same.
  const sequence = ranks.sequence(async (calls) => {
    await new Promise((resolve) => setTimeout(resolve, 30 * rank));
    const values = Float32Array.of(rank);
    await calls.allReduceSum(values);
    return values[0];
  });
  const [counted, gathered] = await Promise.all([
    sequence,
    ranks.gather({ rank, text: "é".repeat(rank * 20) }),
    ranks.allReduceSum(known),
    ranks.allReduceSum(large),
    ranks.allReduceSum(small),
    ranks.broadcast(text, 1),
    ranks.allReduceSum(new Float32Array(0)),
  ]);
  // JavaScript goes on while a rank waits for the others.
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  if (rank > 0) await new Promise((resolve) => setTimeout(resolve, 300));
  await ranks.barrier();
  clearInterval(timer);
  await requireSame(ranks, { batch: 4 });
  const differing = await requireSame(ranks, { batch: 4 + rank }).then(
    () => "none",
    (error) => error.message,
  );
  console.log(JSON.stringify({
    rank,
    size,
    hasHost: host.length > 0,
    known: [...known],
    bits: [await digest(large), await digest(small)],
    text: new TextDecoder().decode(text),
    counted,
    gathered,
    ticked: ticks > 5,
    differing,
  }));
});
