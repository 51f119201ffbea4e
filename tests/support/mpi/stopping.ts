/**
 * A rank that works until it is told to stop, which rank 0 has `mpirun` do, and
 * prints after which step it did.
 *
 * @module
 */
import { openMpi } from "../../../src/host/mpi/communicator.ts";
import { runAsRank } from "../../../src/host/mpi/rank.ts";
import { anyRank } from "../../../src/train/distributed/agreement.ts";

const ranks = await openMpi();
let asked = false;
await runAsRank(ranks, async () => {
  for (let step = 1; step < 10_000; step++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (ranks.rank === 0 && step === 5) Deno.kill(Deno.ppid, "SIGUSR2");
    if (!await anyRank(ranks, asked)) continue;
    console.log(`stopped after step ${step}`);
    return;
  }
  throw new Error("Nobody asked to stop");
}, { onStop: () => asked = true });
