/**
 * Spreads jobs over processes of this project's own: each is told how to set
 * itself up, then gets a job a line and answers each with a line.
 *
 * @module
 */
import { type ErrorCode, MasterWeaverError } from "../../src/base/errors.ts";
import { toolExitCode } from "../../src/host/exit.ts";
import { print } from "../../src/host/streams.ts";
import { linesOf, toLine } from "./json_lines.ts";

/** Which processes. */
export interface Processes {
  /** What they do, for messages: `A process that {title} …`. */
  readonly title: string;
  /** The script that each runs: it calls {@linkcode answerJobs}. */
  readonly script: string;
  /** Arguments of `deno run` before the script. */
  readonly flags: readonly string[];
  /** How many. */
  readonly count: number;
  /** What each is told first. */
  readonly setup: unknown;
}

/** What a process says to a job. */
type Reply<A> =
  | { readonly answer: A }
  | { readonly fault: { readonly code: ErrorCode; readonly message: string } };

/**
 * Has jobs done, in no particular order.
 *
 * @param jobs taken as processes become free
 * @param onAnswer called with each answer and its job; the process waits for it
 * @throws {MasterWeaverError} what a process reports, or `cannot-read` where one ends
 */
export async function spread<J, A>(
  processes: Processes,
  jobs: Iterable<J> | AsyncIterable<J>,
  onAnswer: (answer: A, job: J) => void | Promise<void>,
): Promise<void> {
  const source = queue(jobs);
  const stop = new AbortController();
  const work = Array.from({ length: processes.count }, async () => {
    await using worker = new WorkerProcess(processes);
    for (;;) {
      const next = await source.next();
      if (next.done || stop.signal.aborted) return;
      await onAnswer(await worker.ask<A>(next.value), next.value);
    }
  });
  const all = work.map((one) =>
    one.catch((error) => {
      stop.abort();
      throw error;
    })
  );
  const [failed] = (await Promise.allSettled(all))
    .filter((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/** Gives jobs to whoever asks, one at a time. */
async function* queue<J>(
  jobs: Iterable<J> | AsyncIterable<J>,
): AsyncGenerator<J, void> {
  yield* jobs;
}

/** A process at work. */
class WorkerProcess implements AsyncDisposable {
  readonly #title: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string>;
  readonly #errors: Promise<string>;

  constructor({ title, script, flags, setup }: Processes) {
    this.#title = title;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", ...flags, script],
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout);
    this.#errors = new Response(this.#child.stderr).text();
    this.#send(setup);
  }

  async ask<A>(job: unknown): Promise<A> {
    this.#send(job);
    const { value, done } = await this.#lines.next();
    if (done) throw await this.#ended();
    const reply: Reply<A> = JSON.parse(value);
    if ("answer" in reply) return reply.answer;
    throw new MasterWeaverError(reply.fault.code, reply.fault.message);
  }

  /** A process that has ended says so by its output, not here. */
  #send(value: unknown): void {
    this.#input.write(toLine(value)).catch(() => {});
  }

  async #ended(): Promise<MasterWeaverError> {
    const { code, signal } = await this.#child.status;
    const why = (await this.#errors).trim().split("\n")
      .find((line) => /error|cannot|killed/i.test(line));
    return new MasterWeaverError(
      "cannot-read",
      `A process that ${this.#title} ended with ${signal ?? `code ${code}`}${
        why ? ` (${why.trim()})` : ""
      }; what is finished is kept, run this again`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#lines.return(undefined);
    await this.#errors;
    await this.#child.status;
  }
}

/**
 * The other side: answers jobs until there are none. What cannot be done is
 * reported as the tool's own error; the process goes on.
 *
 * @param start sets up by the first line
 * @returns an exit code
 */
export function answerJobs<S, J, A>(
  start: (setup: S) => Promise<(job: J) => A | Promise<A>>,
): Promise<number> {
  return toolExitCode(async () => {
    const lines = linesOf(Deno.stdin.readable);
    const first = await lines.next();
    if (first.done) return;
    const work = await start(JSON.parse(first.value));
    for await (const line of lines) {
      const reply = await replyTo(() => work(JSON.parse(line)));
      print(`${JSON.stringify(reply)}\n`);
    }
  });
}

async function replyTo<A>(work: () => A | Promise<A>): Promise<Reply<A>> {
  try {
    return { answer: await work() };
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    return { fault: { code: error.code, message: error.message } };
  }
}
