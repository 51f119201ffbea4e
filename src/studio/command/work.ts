/**
 * `work`: makes images for servers on other machines, until Ctrl-C.
 *
 * @module
 */
import type { LoadChoices } from "../../options/settings.ts";
import { path, switched, text } from "../../options/types.ts";
import { exitCode, oneLine, UsageError } from "../../host/exit.ts";
import { print, writeStderr } from "../../host/streams.ts";
import { GpuEngine } from "../engine/gpu_engine.ts";
import { shownAddress } from "../jobs/redis/connection.ts";
import { RedisWorker } from "../jobs/redis/worker.ts";
import { logBug, time } from "./job_log.ts";
import { queueAddress } from "./open_queue.ts";
import {
  type CommandOptions,
  idleRelease,
  loadOptions,
  optionLines,
  readOptions,
} from "./option_list.ts";
import { PATIENCE, untilSignal } from "./until_signal.ts";

const name = { ...text, placeholder: "NAME" };

const options = {
  queue: {
    type: { ...text, placeholder: "URL" },
    help:
      "where the server puts jobs: redis://[user:password@]host[:port], or rediss:// for TLS; else MASTERWEAVER_QUEUE",
  },
  model: {
    type: path("DIR"),
    help: "a converted model, the server's (weights/mini)",
  },
  ...loadOptions,
  name: { type: name, help: "what it is called in messages (this machine's)" },
  "idle-release": idleRelease,
  help: { type: switched, help: "this list" },
} as const satisfies CommandOptions;

const usage = `A worker of the studio: takes jobs from Redis, one at a time.

  deno run -A mod.ts serve --queue redis://host
  deno run -A mod.ts work --queue redis://host

${optionLines(options)}
`;

/** What was typed. */
interface WorkFlags extends Partial<Omit<LoadChoices, "keepLoaded">> {
  readonly queue: string;
  readonly model?: string;
  /** A folder with further extra files. */
  readonly extras?: string;
  readonly name: string;
  /** Seconds; 0 for never. */
  readonly idleRelease: number;
}

/**
 * Runs the command.
 *
 * @param args the arguments after `work`
 * @param defaultModel the model folder where none is given
 * @returns the exit code: 0 ended by a signal, 1 failed, 2 wrong usage
 */
export async function main(
  args: readonly string[],
  defaultModel: string,
): Promise<number> {
  return await exitCode(async () => {
    const read = readOptions(args, options);
    if (read<boolean>("help")) return print(usage);
    const queue = queueAddress(read("queue"));
    if (queue === undefined) {
      throw new UsageError("Option --queue is missing: say where Redis is");
    }
    const flags = {
      queue,
      model: read<string>("model"),
      adapter: read<string>("adapter"),
      taesd: read<string>("taesd"),
      extras: read<string>("extras"),
      dtype: read<LoadChoices["dtype"]>("dtype"),
      tune: read<LoadChoices["tune"]>("tune"),
      name: read<string>("name") ?? Deno.hostname(),
      idleRelease: read<number>("idle-release")!,
    };
    await work(flags, flags.model ?? defaultModel);
  });
}

async function work(flags: WorkFlags, model: string): Promise<void> {
  const { queue, name, idleRelease, ...load } = flags;
  const say = (line: string) => writeStderr(`${time()} ${oneLine(line)}\n`);
  // Before the model is opened: a wrong address is said at once.
  const shown = shownAddress(queue);
  await using engine = await GpuEngine.open(model, {
    adapter: load.adapter,
    taesd: load.taesd,
    extras: load.extras,
    dtype: load.dtype,
    tune: load.tune,
    idleRelease: idleRelease === 0 ? Infinity : idleRelease * 1000,
  });
  await using worker = await RedisWorker.open(queue, engine, {
    name,
    onLine: say,
    onWarning: say,
    onBug: logBug,
  });
  const { name: modelName, hash } = engine.model;
  print(
    `Worker ${name}: model ${modelName} (hash ${
      hash.slice(0, 10)
    }), jobs from ${shown}\n`,
  );
  await untilSignal(() => {
    if (!worker.isBusy) return;
    say(
      `Ending after the running job; it is put back for others after ${
        PATIENCE / 1000
      } s; press Ctrl-C again to end at once`,
    );
  }, () => worker.close(PATIENCE));
}
