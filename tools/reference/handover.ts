/**
 * Compares training that is handed over to PyTorch and back with training here
 * alone, on recorded steps.
 *
 *     deno run -A tools/reference/handover.ts --python PYTHON \
 *         --checkpoints CHECKPOINTS --model DIR --stage 1 \
 *         --adapter-path adapter.pt --inputs INPUTS.safetensors
 *
 * CHECKPOINTS is what handover.py replays, DIR the same model, converted.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { UsageError } from "../../src/host/exit.ts";
import {
  oneOf,
  option,
  printJson,
  readOptions,
  repositoryFile,
  text,
  toolMain,
} from "../tool.ts";
import { fromPyTorch } from "../train/handover/from_pytorch.ts";
import { toPyTorch } from "../train/handover/to_pytorch.ts";
import { openModel } from "../train/model.ts";
import {
  OPTIONS as TRAIN_OPTIONS,
  type TrainValues,
} from "../train/options.ts";
import { openReplay, type ReplayedStep } from "../train/replay.ts";
import type { TrainCheckpoint } from "../train/run/checkpoint.ts";
import { readRun } from "../train/run/read_run.ts";
import { RunFolder } from "../train/run/run_folder.ts";
import { runSettingsOf } from "../train/settings.ts";
import { checkpointState, readArrays, restore } from "../train/state.ts";
import { trainedOf } from "../train/trained.ts";

const OPTIONS = {
  python: option(text, "python"),
  checkpoints: option(text),
  model: option(text),
  stage: option(oneOf(["1", "2"]), "1"),
  "adapter-path": option(text),
  inputs: option(text),
};

/** The learning rate of the recorded steps, before the stage's factor. */
const LEARNING_RATE = "1e-4";

const USAGE =
  `Usage: deno run -A tools/reference/handover.ts --checkpoints DIR --model DIR
           --adapter-path FILE.pt --inputs FILE [--stage 1|2] [--python FILE]

Replays recorded steps here alone; here, then handed over to PyTorch; in PyTorch,
then taken back; in PyTorch alone. Prints how far each is from the first.

  -h, --help             this text`;

/** Steps of a recording, and what they led to. */
interface Half {
  readonly losses: readonly ReplayedStep[];
  readonly run: string;
}

class Comparison {
  readonly #values: Readonly<Record<string, string>>;
  readonly #folder: string;

  constructor(values: Readonly<Record<string, string>>, folder: string) {
    this.#values = values;
    this.#folder = folder;
  }

  /** Steps here, from a run's checkpoint or from the start. */
  async here(
    name: string,
    first: number,
    end?: number,
    from?: string,
  ): Promise<Half> {
    const out = `${this.#folder}/${name}`;
    const values = this.#train("--out", out);
    await using opened = await openReplay(values);
    const { trainer, components, learningRate, recording } = opened;
    if (from) restore(trainer, (await readRun(from)).checkpoint);
    const last = end ?? recording.steps;
    for (let step = first; step < last; step++) {
      await opened.step(step);
      await opened.update(step);
    }
    const losses = await opened.readLog(first, last);
    const trained = trainedOf(values, components, {});
    const model = await openModel(values.model!, values["adapter-path"], "f32");
    const settings = runSettingsOf(values, 1, {
      path: values.model!,
      hash: model.hash,
    }, values.data!);
    await model[Symbol.asyncDispose]();
    using run = await RunFolder.open(out, settings);
    await run.save({
      step: last,
      arrays: await readArrays(trainer),
      state: checkpointState(
        values,
        last,
        await trainer.optimiser.readState(),
        learningRate,
      ),
      weights: await trained.files(await trainer.blocks.read("parameters")),
    });
    return { losses, run: out };
  }

  /** Steps in PyTorch, from a run's checkpoint or from the start. */
  async there(
    name: string,
    first: number,
    steps: number,
    from?: string,
  ): Promise<Half> {
    const [given, saved, losses, out] = ["given", "saved", "json", "run"]
      .map((kind) => `${this.#folder}/${name}-${kind}`);
    if (from) await toPyTorch(read("--to-pytorch", from, "--output", given));
    const { python, checkpoints, stage, "adapter-path": adapter, inputs } =
      this.#values;
    const { success } = await new Deno.Command(python, {
      args: [
        repositoryFile("tools/reference/handover.py"),
        "replay",
        checkpoints,
        `--stage=${stage}`,
        `--adapter=${adapter}`,
        `--inputs=${inputs}`,
        `--first=${first}`,
        `--steps=${steps}`,
        `--save=${saved}`,
        `--losses=${losses}`,
        ...from ? [`--load=${given}`] : [],
      ],
      stdout: "inherit",
    }).spawn().status;
    if (!success) {
      throw new MasterWeaverError("bad-option", "Cannot replay with PyTorch");
    }
    const { warnings } = await fromPyTorch(
      this.#train("--from-pytorch", saved, "--out", out),
    );
    if (warnings.length > 0) console.warn(warnings.join("\n"));
    return { ...JSON.parse(await Deno.readTextFile(losses)), run: out };
  }

  #train(...more: string[]): TrainValues {
    const { model, stage, "adapter-path": adapter, inputs } = this.#values;
    return read(
      `--stage=${stage}`,
      `--model=${model}`,
      `--adapter-path=${adapter}`,
      `--replay=${inputs}`,
      `--data=${inputs}`,
      `--learning-rate=${LEARNING_RATE}`,
      ...more,
    );
  }
}

function read(...args: string[]): TrainValues {
  const values = readOptions(args, TRAIN_OPTIONS);
  if (values === "help") throw new TypeError("No option is --help");
  return values.values;
}

/** How far a training is from another. */
async function distances(halves: readonly Half[], than: readonly Half[]) {
  const found = halves.flatMap(({ losses }) => losses);
  const expected = than.flatMap(({ losses }) => losses);
  const last = async (halves: readonly Half[]) =>
    (await readRun(halves.at(-1)!.run)).checkpoint;
  const [a, b] = [await last(halves), await last(than)];
  return {
    steps: [a.step, b.step],
    loss: Math.max(
      ...found.flatMap((row, i) =>
        (["loss_mle", "loss_bg", "loss_edit"] as const).map((name) =>
          Math.abs(row[name] - expected[i][name]) /
          (Math.abs(expected[i][name]) || 1)
        )
      ),
    ),
    parameters: nmse(a, b, "parameters"),
    firstMoments: nmse(a, b, "firstMoments"),
    secondMoments: nmse(a, b, "secondMoments"),
  };
}

/** The largest NMSE of any parameter. */
function nmse(a: TrainCheckpoint, b: TrainCheckpoint, kind: string): number {
  let worst = 0;
  for (const [name, { data }] of Object.entries(b.arrays)) {
    if (!name.startsWith(`${kind}/`)) continue;
    let apart = 0, all = 0;
    data.forEach((value, i) => {
      apart += (a.arrays[name].data[i] - value) ** 2;
      all += value ** 2;
    });
    worst = Math.max(worst, apart / all);
  }
  return worst;
}

/** The tool's `main`. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  async run(values) {
    const given = Object.fromEntries(
      Object.entries(values).map(([name, value]) => {
        if (value !== undefined) return [name, value];
        throw new UsageError(`Give --${name}`);
      }),
    );
    const folder = await Deno.makeTempDir({ prefix: "masterweaver-handover-" });
    try {
      printJson(await compare(new Comparison(given, folder)));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function compare(comparison: Comparison) {
  const alone = [await comparison.here("here", 0)];
  const steps = alone[0].losses.length;
  const half = Math.floor(steps / 2);
  const first = await comparison.here("here-first", 0, half);
  const handedOver = [
    first,
    await comparison.there("then-there", half, steps - half, first.run),
  ];
  const there = await comparison.there("there-first", 0, half);
  const takenBack = [
    there,
    await comparison.here("then-here", half, steps, there.run),
  ];
  const pytorch = [await comparison.there("there", 0, steps)];
  return {
    here_then_pytorch: await distances(handedOver, alone),
    pytorch_then_here: await distances(takenBack, alone),
    pytorch: await distances(pytorch, alone),
  };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
