/**
 * `serve`: the page and the HTTP API, until Ctrl-C.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { environmentVariable } from "../../host/environment.ts";
import { exitCode } from "../../host/exit.ts";
import { print, writeStderr } from "../../host/streams.ts";
import { readModelResource } from "../engine/model_resource.ts";
import { WorkerPhotoReader } from "../engine/photo_reader.ts";
import { isLoopback } from "../http/guard.ts";
import { pageFiles } from "../http/page_files.ts";
import { makeToken } from "../http/sessions.ts";
import { openTelemetry } from "../jobs/telemetry.ts";
import { type RunningStudio, startStudio } from "../serve.ts";
import { jobLog, logBug } from "./job_log.ts";
import { openQueue } from "./open_queue.ts";
import {
  readServeFlags,
  type ServeFlags,
  serveUsage,
} from "./serve_options.ts";
import { serveUntilSignal } from "./until_signal.ts";

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
  const { alignFaces } = await readModelResource(model, flags);
  const photos = new WorkerPhotoReader({ model, aligns: alignFaces });
  const given = flags.token ?? environmentVariable("MASTERWEAVER_TOKEN");
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
    onBug: logBug,
  });
  announce(studio, flags, token, given === undefined);
  await serveUntilSignal(studio);
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
