/**
 * Ranks of which number 1 fails in the way that the argument says, while the
 * others wait for it.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { openMpi } from "../../../src/host/mpi/communicator.ts";
import { runAsRank } from "../../../src/host/mpi/rank.ts";

const [way] = Deno.args;
const ranks = await openMpi({ timeoutSeconds: way === "hang" ? 4 : 60 });
await runAsRank(ranks, async () => {
  if (ranks.rank === 1) await fail();
  await ranks.allReduceSum(new Float32Array(100_000));
  await ranks.barrier();
}, { lastCheckpoint: () => way === "throw" ? undefined : "run/step-000200" });

async function fail(): Promise<void> {
  switch (way) {
    case "throw":
      throw new MasterWeaverError("non-finite", "Step 7: the loss is NaN");
    case "bug":
      setTimeout(() => {
        throw new TypeError("outside of any promise");
      });
      break;
    case "kill":
      Deno.kill(Deno.pid, "SIGKILL");
      break;
    case "exit":
      Deno.exit(0);
      break;
    case "hang":
      break;
  }
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}
