/**
 * Several ranks that train together come to what one comes to with their batches
 * joined, and go on from what they saved.
 */
import { assert, assertEquals } from "@std/assert";
import { drawDataset } from "./support/dataset.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { hasMpi, mpirunFile } from "./support/mpi.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  type Given,
  recorded,
  SMALL,
  trained,
  typedOptions,
} from "./support/train_tool.ts";

const STEPS = 10;

/** Trains in this many processes. */
async function trainedTogether(ranks: number, given: Given): Promise<void> {
  const options = { ...SMALL, ...given, distributed: "mpi" };
  const { code, err } = await mpirunFile(
    ranks,
    repositoryPath("tools/train.ts"),
    typedOptions(options),
  );
  assertEquals(code, 0, err.join("\n"));
}

type Losses = Readonly<Record<string, number>>;

gpuTest(
  "train: two ranks with batch 4 give what one with batch 8 gives",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 12 });
      const given = {
        stage: 1,
        data,
        cache: `${folder}/cache`,
        "max-train-steps": STEPS,
        "save-steps": STEPS / 2,
        // Each rank has half of the batch; a rate that is scaled is the same for both.
        "learning-rate": 1e-4,
        "scale-lr": true,
      };
      const one = `${folder}/one`, two = `${folder}/two`;
      await trained({ ...given, "train-batch-size": 8, out: one });
      const together = { ...given, "train-batch-size": 4, out: two };
      // Stopped in the middle, as a run may be: both ranks go on from one checkpoint.
      await trainedTogether(2, { ...together, "max-train-steps": STEPS / 2 });
      await trainedTogether(2, together);
      const [expected, found] = [
        await recorded(one) as Losses[],
        await recorded(two) as Losses[],
      ];
      assertEquals(found.length, STEPS);
      found.forEach((step, i) => {
        for (const name of ["loss_mle", "loss_bg", "grad_norm"]) {
          const off = Math.abs(step[name] / expected[i][name] - 1);
          // The background's loss is a small difference of two predictions.
          const most = name === "loss_bg" ? 1e-4 : 1e-5;
          assert(off <= most, `${name} of step ${i + 1} is off by ${off}`);
        }
      });
    }),
  !hasMpi,
);
