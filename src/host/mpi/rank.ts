/**
 * A rank's work, and how all ranks end when one of them fails.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { withFlags } from "../advice.ts";
import { oneLine } from "../exit.ts";
import { isHostError, reason } from "../reasons.ts";
import { writeStderr } from "../streams.ts";
import { removePartials } from "../write.ts";
import { rankName } from "./collectives.ts";
import type { HostCommunicator } from "./communicator.ts";

/** How {@linkcode runAsRank} ends a run. */
export interface RankOptions {
  /** The newest whole checkpoint, for messages; none where there is none yet. */
  readonly lastCheckpoint?: () => string | undefined;
  /** Whether `work` ends in order after SIGTERM; else this does at once. */
  readonly stopsItself?: boolean;
  /**
   * Is called at SIGUSR2, which `mpirun` hands on to every rank: to save and end in
   * order. After Ctrl-C it leaves ranks a second.
   */
  readonly onStop?: () => void;
}

/**
 * Does this rank's work and leaves the others. Where it throws, or anything in this
 * process does, it says which rank failed and why, and ends all ranks.
 *
 * A rank that is killed cannot say so: `mpirun` names it and sends SIGTERM to the
 * others, which name the last checkpoint.
 *
 * @returns what `work` returns
 * @throws what `work` throws in a process that no `mpirun` started
 */
export async function runAsRank<T>(
  communicator: HostCommunicator,
  work: () => Promise<T>,
  options: RankOptions = {},
): Promise<T> {
  if (!communicator.isLaunched) return await work();
  const fail = (error: unknown): never => {
    removePartials();
    say(communicator, options, `failed and ends all ranks: ${explain(error)}`);
    if (isBug(error)) writeStderr(`${error.stack}\n`);
    return communicator.abort(1);
  };
  using _ = listen(communicator, options, fail);
  try {
    const result = await work();
    await communicator.close();
    return result;
  } catch (error) {
    return fail(error);
  }
}

/** Hears of errors outside of the work's promise, and of being ended. */
function listen(
  communicator: HostCommunicator,
  options: RankOptions,
  fail: (error: unknown) => never,
): Disposable {
  const onError = (event: ErrorEvent) => fail(event.error);
  const onRejection = (event: PromiseRejectionEvent) => fail(event.reason);
  const onTerminate = () => {
    // One of two is alive; a line of every rank would bury what matters.
    if (communicator.rank < 2) {
      say(
        communicator,
        options,
        "is ended by SIGTERM, as when another rank fails",
      );
    }
    if (options.stopsItself) return;
    removePartials();
    Deno.exit(143);
  };
  const { onStop = () => {} } = options;
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  Deno.addSignalListener("SIGTERM", onTerminate);
  Deno.addSignalListener("SIGUSR2", onStop);
  return {
    [Symbol.dispose]: () => {
      removeEventListener("error", onError);
      removeEventListener("unhandledrejection", onRejection);
      Deno.removeSignalListener("SIGTERM", onTerminate);
      Deno.removeSignalListener("SIGUSR2", onStop);
    },
  };
}

function say(
  communicator: HostCommunicator,
  { lastCheckpoint }: RankOptions,
  what: string,
): void {
  const checkpoint = lastCheckpoint?.();
  const last = checkpoint === undefined
    ? "there is no checkpoint yet"
    : `the last good checkpoint is ${checkpoint}`;
  writeStderr(oneLine(`${rankName(communicator)} ${what}; ${last}`) + "\n");
}

/** Why a rank failed, in one line. */
function explain(error: unknown): string {
  if (error instanceof MasterWeaverError) return withFlags(error.message);
  return isHostError(error) ? reason(error) : String(error);
}

/** Whether an error is a bug of this project, whose stack is of use. */
function isBug(error: unknown): error is Error {
  const isKnown = error instanceof MasterWeaverError || isHostError(error);
  return error instanceof Error && !isKnown;
}
