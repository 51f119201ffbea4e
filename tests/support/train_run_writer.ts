/**
 * Saves checkpoints without end, to be killed: goes on from the newest one, and
 * prints each step once it is saved.
 *
 * @module
 */
import { RunFolder } from "../../tools/train/run/run_folder.ts";
import { runSettings, stepContent } from "./train_run.ts";

const [folder, values] = Deno.args;
using run = await RunFolder.open(folder, runSettings(), { keepLast: 2 });
const { checkpoint } = await run.latest();
// The newest one is saved anew, which replaces it.
for (let step = checkpoint?.step ?? 1;; step++) {
  await run.save(stepContent(step, Number(values)));
  console.log(step);
}
