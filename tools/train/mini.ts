/**
 * Trains the mini model's adapter on drawn portraits, both stages, and measures
 * what that gained, on people it has not seen: a whole training within an hour on
 * two CPU cores.
 *
 *     deno task train:mini
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { main as dataset } from "../dataset.ts";
import { main as evaluate } from "../evaluate.ts";
import {
  option,
  repositoryFile,
  talk,
  text,
  toolMain,
  type Values,
  whole,
} from "../tool.ts";
import { main as train } from "../train.ts";

const USAGE = `Usage: deno task train:mini [--out DIR] [--adapter-path FILE]

Draws people, trains the mini model's adapter in both stages, and evaluates
before, in between and after. Run again to go on where it was stopped.

  --out DIR            where data and runs go (runs/mini)
  --adapter-path FILE  the adapter to start from (the mini model's own)
  --people N           drawn people to train on, 4 portraits each (600)
  --stage1-steps N     (100)
  --stage2-steps N     (80)
  -h, --help           this text`;

const OPTIONS = {
  out: option(text, "runs/mini"),
  "adapter-path": option(text),
  people: option(whole(1), "600"),
  "stage1-steps": option(whole(1), "100"),
  "stage2-steps": option(whole(1), "80"),
};

/** Seeds of the portraits: those that the mini model was trained on, and others. */
const SEEDS = { train: "1234", heldOut: "99" };
/** Held-out people. */
const HELD_OUT = "200";

/** What both stages have in common. */
const COMMON = [
  ["--train-batch-size", "8"],
  ["--gradient-accumulation-steps", "1"],
  ["--lr-scheduler", "cosine"],
  ["--lr-warmup-steps", "20"],
  ["--save-steps", "50"],
  ["--vis-steps", "0"],
  ["--ema-decay", "0.98"],
].flat();

async function run(values: Values<typeof OPTIONS>): Promise<void> {
  const { report } = talk(false);
  const { out, people } = values;
  const model = repositoryFile("weights/mini");
  const start = values["adapter-path"] ?? `${model}/identity_adapter.weave`;
  const [data, heldOut] = [`${out}/data`, `${out}/held-out`];
  const runs = [`${out}/stage1`, `${out}/stage2`];
  const adapters = runs.map((folder) => `${folder}/adapter_ema_final.weave`);

  report(`Drawing ${people} people to train on, ${HELD_OUT} to evaluate with`);
  await tool("dataset.ts", dataset, [
    ...["portraits", data, "--seed", SEEDS.train, "--count", String(people)],
  ]);
  await tool("dataset.ts", dataset, [
    ...["portraits", heldOut, "--seed", SEEDS.heldOut, "--count", HELD_OUT],
  ]);

  const stage = (number: 1 | 2, adapter: string, ...own: string[]) => [
    ...["--stage", String(number), "--model", model, "--data", data],
    ...["--adapter-path", adapter, "--out", runs[number - 1]],
    ...["--cache", `${out}/cache`, ...COMMON, ...own],
  ];
  report("Stage 1");
  await tool(
    "train.ts",
    train,
    stage(
      1,
      start,
      ...["--learning-rate", "5e-5", "--timesteps", "high"],
      ...["--max-train-steps", String(values["stage1-steps"])],
    ),
  );
  report("Stage 2");
  // Its learning rate is a fiftieth of this.
  await tool(
    "train.ts",
    train,
    stage(
      2,
      adapters[0],
      ...["--learning-rate", "2.5e-3"],
      ...["--max-train-steps", String(values["stage2-steps"])],
    ),
  );
  report(
    "Evaluating: the adapter it started from, after stage 1, after stage 2",
  );
  await tool("evaluate.ts", evaluate, [
    ...["--model", model, "--data", heldOut, "--sheet", `${out}/sheet.png`],
    ...[start, ...adapters].flatMap((adapter) => ["--adapter", adapter]),
  ]);
}

/** Runs another tool; what it says, it has said. */
async function tool(
  name: string,
  main: (args: readonly string[]) => Promise<number>,
  args: readonly string[],
): Promise<void> {
  const code = await main(args);
  if (code === 0) return;
  throw new MasterWeaverError(
    "bad-option",
    `tools/${name} ended with exit code ${code}; run the same command again to go on`,
  );
}

/** The tool's `main`. */
export const main = toolMain({ usage: USAGE, options: OPTIONS, run });

if (import.meta.main) Deno.exit(await main(Deno.args));
