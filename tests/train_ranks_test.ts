/**
 * Several ranks that train together come to what one comes to with their batches
 * joined, and go on from what they saved.
 */
import { assert, assertEquals } from "@std/assert";
import { drawDataset } from "./support/dataset.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { amount } from "./support/load.ts";
import { hasMpi, mpirunFile } from "./support/mpi.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  type Given,
  MODEL,
  recorded,
  SMALL,
  trained,
  typedOptions,
} from "./support/train_tool.ts";

/** Updates, and after which it is stopped: the last one's loss shows what the one before it made of the checkpoint. */
const STEPS = amount(3, 10);
const STOP = Math.floor(STEPS / 2);
/** Samples of each of two ranks; two are what other tests train with: their kernels are compiled. */
const BATCH = amount(2, 4);

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

/** Requires the same losses, step by step. */
function checkSameLosses(found: Losses[], expected: Losses[]): void {
  assertEquals(found.length, expected.length);
  found.forEach((step, i) => {
    for (const name of ["loss_mle", "loss_bg", "loss_edit", "grad_norm"]) {
      if (expected[i][name] === undefined) continue;
      const off = Math.abs(step[name] / expected[i][name] - 1);
      // The background's loss is a small difference of two predictions.
      const most = name === "loss_bg" ? 1e-4 : 1e-5;
      assert(off <= most, `${name} of step ${i + 1} is off by ${off}`);
    }
  });
}

gpuTest(
  `train: two ranks with batch ${BATCH} give what one with batch ${
    2 * BATCH
  } gives`,
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 3 * BATCH });
      const given = {
        stage: 1,
        data,
        cache: `${folder}/cache`,
        "max-train-steps": STEPS,
        "save-steps": STOP,
        // Each rank has half of the batch; a rate that is scaled is the same for both.
        "learning-rate": 1e-4,
        "scale-lr": true,
      };
      const one = `${folder}/one`, two = `${folder}/two`;
      await trained({ ...given, "train-batch-size": 2 * BATCH, out: one });
      const together = { ...given, "train-batch-size": BATCH, out: two };
      // Stopped in the middle, as a run may be: both ranks go on from one checkpoint.
      await trainedTogether(2, { ...together, "max-train-steps": STOP });
      await trainedTogether(2, together);
      const expected = await recorded(one) as Losses[];
      assertEquals(expected.length, STEPS);
      checkSameLosses(await recorded(two) as Losses[], expected);
    }),
  !hasMpi,
);

gpuTest(
  "train: two ranks divide the edit's loss by the joined batch's faces",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 8 });
      const given = {
        stage: 2,
        data,
        cache: `${folder}/cache`,
        "adapter-path": `${MODEL}/identity_adapter.weave`,
        "max-train-steps": 2,
      };
      const one = `${folder}/one`, two = `${folder}/two`;
      await trained({ ...given, "train-batch-size": 4, out: one });
      await trainedTogether(2, { ...given, "train-batch-size": 2, out: two });
      const expected = await recorded(one) as Losses[];
      assert(expected[0].loss_edit > 0);
      checkSameLosses(await recorded(two) as Losses[], expected);
    }),
  !hasMpi,
);
