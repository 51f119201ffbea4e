/**
 * Trains MasterWeaver's identity adapter, a LoRA, or the UNet.
 *
 *     deno run -A tools/train.ts --stage 1 --model DIR --data DIR --out RUN
 *
 * @module
 */
import { Interrupt } from "../src/host/command/interrupt.ts";
import { endOnSignals } from "../src/host/exit.ts";
import { openMpi } from "../src/host/mpi/communicator.ts";
import { useOwnGpu } from "../src/host/mpi/own_gpu.ts";
import { runAsRank } from "../src/host/mpi/rank.ts";
import { UsageError } from "../src/host/exit.ts";
import { writeStderr } from "../src/host/streams.ts";
import { adviseFlags } from "./train/advice.ts";
import { fromPyTorch } from "./train/handover/from_pytorch.ts";
import { toPyTorch } from "./train/handover/to_pytorch.ts";
import { OPTIONS, type TrainValues, USAGE } from "./train/options.ts";
import { replay } from "./train/replay.ts";
import { train, type TrainResult } from "./train/session.ts";
import { printJson, talk, toolMain } from "./tool.ts";

async function run(values: TrainValues): Promise<number | void> {
  const { report } = talk(values.quiet);
  if (values["to-pytorch"] !== undefined) return await handOver(values);
  if (values["from-pytorch"] !== undefined) return await takeBack(values);
  for (const name of ["num-processes", "step"] as const) {
    if (values[name] === undefined) continue;
    throw new UsageError(
      `--${name} belongs to --to-pytorch and --from-pytorch; ranks are started by mpirun`,
    );
  }
  if (values.replay !== undefined) {
    using _ = endOnSignals();
    const replayed = await adviseFlags(() => replay(values));
    if (values.json) return printJson(replayed);
    replayed.losses.forEach(({ loss_mle, loss_bg, loss_edit, grad_norm }, i) =>
      report(
        `step ${
          i + 1
        }: loss_mle ${loss_mle}, loss_bg ${loss_bg}, loss_edit ${loss_edit}, grad_norm ${grad_norm}`,
      )
    );
    return report(`Gradients and parameters → ${replayed.output}`);
  }
  await using interrupt = new Interrupt((text) => {
    if (!values.quiet) writeStderr(`\n${text} (what is done is saved first)\n`);
  });
  const result = values.distributed === "mpi"
    ? await trainTogether(values, interrupt.signal)
    : await adviseFlags(() => train(values, { signal: interrupt.signal }));
  if (!result) return;
  const { status, step, total, weights, left_out } = result;
  if (values.json) printJson(result);
  if (left_out > 0) {
    report(`Left out as broken: ${left_out} ${left_out === 1 ? "id" : "ids"}`);
  }
  if (status === "stopped") {
    report(
      `Stopped after step ${step} of ${total}; run the same command to go on`,
    );
    return 1;
  }
  report(
    `Trained ${step} ${step === 1 ? "step" : "steps"} → ${weights.join(", ")}`,
  );
}

/** Writes a run for PyTorch. */
async function handOver(values: TrainValues): Promise<void> {
  const { report } = talk(values.quiet);
  const { warnings, ...result } = await toPyTorch(values);
  for (const line of warnings) report(line);
  if (values.json) return printJson(result);
  const { output, step, files } = result;
  report(
    `Step ${step} → ${files.map((name) => `${output}/${name}`).join(", ")}`,
  );
}

/** Makes a run of what PyTorch trained; of several ranks, the first does. */
async function takeBack(values: TrainValues): Promise<void> {
  const { report } = talk(values.quiet);
  const make = async (ranks: number) => {
    const { warnings, ...result } = await fromPyTorch(values, ranks);
    for (const line of warnings) report(line);
    if (values.json) return printJson(result);
    report(
      `Step ${result.step} → ${result.checkpoint}; run the same command without --from-pytorch to go on`,
    );
  };
  if (values.distributed === undefined) return await make(1);
  const communicator = await openMpi({
    warn: (line) => writeStderr(`${line}\n`),
  });
  await runAsRank(communicator, async () => {
    if (communicator.rank === 0) await make(communicator.size);
  });
}

/**
 * Trains as one of several ranks.
 *
 * @returns the result, on the first rank
 */
async function trainTogether(
  values: TrainValues,
  interrupted: AbortSignal,
): Promise<TrainResult | undefined> {
  useOwnGpu();
  const communicator = await openMpi({
    warn: (line) => writeStderr(`${line}\n`),
  });
  const stop = new AbortController();
  let last: () => string | undefined = () => undefined;
  const result = await runAsRank(
    communicator,
    () =>
      adviseFlags(() =>
        train(values, {
          signal: AbortSignal.any([interrupted, stop.signal]),
          communicator,
          onCheckpoint: (checkpoint) => last = checkpoint,
        })
      ),
    {
      lastCheckpoint: () => last(),
      stopsItself: true,
      onStop: () => stop.abort(),
    },
  );
  return communicator.rank === 0 ? result : undefined;
}

/** The tool's `main`. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  stopsItself: true,
  run,
});

if (import.meta.main) Deno.exit(await main(Deno.args));
