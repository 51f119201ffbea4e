/**
 * `serve`: the page and the HTTP API, until Ctrl-C.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { exitCode, onSignals } from "../../host/exit.ts";
import { print, writeStderr } from "../../host/streams.ts";
import { printable } from "../../weights/brief.ts";
import { readModelResource } from "../engine/model_resource.ts";
import { WorkerPhotoReader } from "../engine/photo_reader.ts";
import { isLoopback } from "../http/guard.ts";
import { pageFiles } from "../http/page_files.ts";
import { makeToken } from "../http/sessions.ts";
import type { Job } from "../jobs/job.ts";
import { openTelemetry } from "../jobs/telemetry.ts";
import { type RunningStudio, startStudio } from "../serve.ts";
import { openQueue } from "./open_queue.ts";
import {
  readServeFlags,
  type ServeFlags,
  serveUsage,
} from "./serve_options.ts";

/** Milliseconds that the running job may take after the first Ctrl-C. */
const PATIENCE = 30_000;

/**
 * Runs the command.
 *
 * @param args the arguments after `serve`
 * @param defaultModel the model folder where none is given
 * @returns the exit code: 0 ended by a signal, 1 failed, 2 wrong usage
 */
export async function main(
  args: readonly string[],
  defaultModel: string,
): Promise<number> {
  return await exitCode(async () => {
    const flags = readServeFlags(args);
    if (flags.help) return print(serveUsage);
    await serve(flags, flags.model ?? defaultModel);
  });
}

async function serve(flags: ServeFlags, model: string): Promise<void> {
  const { host, port, publicHosts, cancelUnwatched } = flags;
  const tls = await readTls(flags);
  const { alignFaces } = await readModelResource(model, flags.adapter);
  const photos = new WorkerPhotoReader({ model, aligns: alignFaces });
  const given = flags.token ??
    (Deno.env.get("MASTERWEAVER_TOKEN") || undefined);
  const token = given ?? (isLoopback(host) ? undefined : makeToken());
  const studio = await startStudio({
    hostname: host,
    port,
    tls,
    publicHosts,
    token,
    cancelUnwatched,
    photos,
    page: pageFiles(),
    queue: await openQueue(flags, model, photos),
    telemetry: await openTelemetry(),
    log: jobLog(flags.logPrompts),
    onBug: (error) => writeStderr(`${bugText(error)}\n`),
  });
  announce(studio, flags, token, given === undefined);
  await untilSignal(studio);
}

async function readTls({ cert, key }: ServeFlags) {
  if (cert === undefined || key === undefined) return undefined;
  return {
    cert: await readPem(cert, "certificate"),
    key: await readPem(key, "key"),
  };
}

async function readPem(path: string, what: string): Promise<string> {
  const text = await Deno.readTextFile(path).catch((error) => {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot read the ${what} ${path}: ${error.message}`,
    );
  });
  if (text.includes("-----BEGIN ")) return text;
  throw new MasterWeaverError(
    "cannot-read",
    `The ${what} ${path} is not PEM; give a file that has a line with BEGIN`,
  );
}

/** Says where the studio is. */
function announce(
  { url }: RunningStudio,
  { host, cert }: ServeFlags,
  token: string | undefined,
  isMade: boolean,
): void {
  const isLocal = isLoopback(host);
  const shown = isLocal ? url : url.replace("127.0.0.1", Deno.hostname());
  const link = token === undefined
    ? `${shown}/`
    : `${shown}/login?token=${isMade ? token : "…"}`;
  print(`Studio: ${link}\nAPI: ${shown}/docs\n`);
  if (!isLocal && cert === undefined) {
    writeStderr(
      "Anyone on the way can read the token and the photos: give --cert and --key, or put a proxy with TLS before it\n",
    );
  }
}

/** Serves until Ctrl-C or SIGTERM; the second ends the process at once. */
async function untilSignal(studio: RunningStudio): Promise<void> {
  const first = Promise.withResolvers<void>();
  let count = 0;
  using _ = onSignals((signal) => {
    if (count++ > 0) Deno.exit(signal === "SIGINT" ? 130 : 143);
    const { running } = studio.studio.queue.counts;
    if (running > 0) {
      writeStderr(
        `Ending after the running job, within ${
          PATIENCE / 1000
        } s; press Ctrl-C again to end at once\n`,
      );
    }
    first.resolve();
  });
  await first.promise;
  const running = [...studio.studio.jobs.all()]
    .filter((job) => job.endedAt === null);
  await studio.shutdown(PATIENCE);
  for (const job of running) writeStderr(`${endText(job)}\n`);
}

/** Logs a line when a job comes and one when it ends. */
function jobLog(withPrompts: boolean) {
  return (line: string, job?: Job) => {
    if (!job) return writeStderr(`${time()} ${line}\n`);
    const { prompt, steps, numImages, width, height } = job.request.settings;
    const asked = `${numImages} × ${width}x${height}, ${steps} steps`;
    const words = withPrompts ? ` ${printable(JSON.stringify(prompt))}` : "";
    writeStderr(`${time()} ${line} ${job.id}: ${asked}${words}\n`);
    job.ended.then(() => writeStderr(`${time()} ${endText(job)}\n`));
  };
}

function endText({ id, state, endedAt, createdAt }: Job): string {
  const seconds = ((endedAt ?? Date.now()) - createdAt) / 1000;
  return `job ${id}: ${state} after ${seconds.toFixed(1)} s`;
}

function time(): string {
  return new Date().toISOString().slice(11, 19);
}

/** What is a bug, for its report. */
function bugText(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
