/**
 * Trains MasterWeaver's identity adapter, a LoRA, or the UNet.
 *
 *     deno run -A tools/train.ts --stage 1 --model DIR --data DIR --out RUN
 *
 * @module
 */
import { MasterWeaverError } from "../src/base/errors.ts";
import { Interrupt } from "../src/host/command/interrupt.ts";
import { endOnSignals } from "../src/host/exit.ts";
import { openMpi, startedByOpenMpi } from "../src/host/mpi/communicator.ts";
import { mpirunProcess } from "../src/host/mpi/launcher.ts";
import { useOwnGpu } from "../src/host/mpi/own_gpu.ts";
import { runAsRank } from "../src/host/mpi/rank.ts";
import { UsageError } from "../src/host/exit.ts";
import { writeStderr } from "../src/host/streams.ts";
import { adviseFlags } from "./train/advice.ts";
import { fromPyTorch } from "./train/handover/from_pytorch.ts";
import { toPyTorch } from "./train/handover/to_pytorch.ts";
import { HINTS } from "./train/hints.ts";
import { OPTIONS, type TrainValues, USAGE } from "./train/options.ts";
import { replay } from "./train/replay.ts";
import { train, type TrainResult } from "./train/session.ts";
import { counted, printJson, talk, toolMain } from "./tool.ts";

async function run(values: TrainValues): Promise<number | void> {
  const { report } = talk(values.quiet);
  requireTogether(values);
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
  const isRank = values.distributed === "mpi" && startedByOpenMpi();
  await using interrupt = new Interrupt((text) => {
    if (values.quiet) return;
    if (!isRank) writeStderr(`\n${text} (what is done is saved first)\n`);
    else if (isFirstRank()) writeStderr(`\n${STOPPED_BY_MPIRUN}\n`);
  });
  const result = isRank
    ? await trainTogether(values, interrupt.signal)
    : await adviseFlags(() => train(values, { signal: interrupt.signal }));
  if (!result) return;
  const { status, from, step, total, weights, left_out, not_saved } = result;
  if (values.json) printJson(result);
  if (left_out > 0) {
    report(`Left out as broken: ${counted(left_out, "id")}`);
  }
  if (not_saved !== undefined) {
    throw new MasterWeaverError(
      "cannot-write",
      `${not_saved}; stopped after step ${step} of ${total}: make room, then run the same command to go on from what is kept`,
    );
  }
  if (status === "stopped") {
    report(
      `Stopped after step ${step} of ${total}${
        weights.length > 0 ? ` → ${weights.join(", ")}` : ""
      }; run the same command to go on`,
    );
    // Alone, whoever waits for the run's end must not take this for it. But a rank
    // that ends with another code than 0 is one that failed, to mpirun.
    return isRank ? 0 : 1;
  }
  if (from === step) {
    return report(
      `Already finished: ${step} of ${total} steps; give more --max-train-steps to go on`,
    );
  }
  report(`Trained for ${counted(step, "step")} → ${weights.join(", ")}`);
}

const STOPPED_BY_MPIRUN =
  "Stopping; mpirun leaves ranks a second: what came after the last checkpoint may be lost (kill -USR2 mpirun saves first)";

/** Whether this is the first of the ranks that mpirun started. */
function isFirstRank(): boolean {
  return Number(Deno.env.get("OMPI_COMM_WORLD_RANK") ?? 0) === 0;
}

/**
 * Checks that ranks know of each other: else each would train the whole by itself,
 * in the same folder.
 */
function requireTogether({ distributed }: TrainValues): void {
  const ranks = Number(Deno.env.get("OMPI_COMM_WORLD_SIZE") ?? 1);
  if (ranks <= 1 || distributed !== undefined) return;
  throw new UsageError(
    `mpirun started ${ranks} processes: give --distributed mpi, and they train together`,
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
  const say = (line: string) => {
    if (communicator.rank === 0 && !values.quiet) writeStderr(`${line}\n`);
  };
  say(`To save and stop: kill -USR2 ${await mpirunProcess() ?? "mpirun"}`);
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
      onStop: () => {
        say("Stopping after this update; saving first");
        stop.abort();
      },
    },
  );
  return communicator.rank === 0 ? result : undefined;
}

/** The tool's `main`. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  hints: HINTS,
  stopsItself: true,
  run,
});

if (import.meta.main) Deno.exit(await main(Deno.args));
