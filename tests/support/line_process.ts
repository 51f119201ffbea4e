/**
 * A script of Deno as a process that runs for as long as a test wants, and what
 * it says.
 *
 * @module
 */
import { deno, type Start } from "./command.ts";

/** Somebody waits for a line. */
interface Awaited {
  readonly pattern: RegExp;
  readonly found: PromiseWithResolvers<string>;
}

/** A process whose lines are read as they come. */
export class LineProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  #awaited: Awaited[] = [];
  #isOver = false;
  /** What it said, on both streams. */
  readonly lines: string[] = [];
  /** Those on standard error. */
  readonly errors: string[] = [];

  /** Starts `deno` with arguments. */
  constructor(args: readonly string[], start?: Start) {
    this.#process = deno(args, start);
    const { stdout, stderr } = this.#process;
    this.#read = Promise.all([this.#take(stdout), this.#take(stderr, "error")])
      .then(() => {
        this.#isOver = true;
        for (const { found } of this.#awaited) found.reject(this.#ended());
      });
  }

  /**
   * Waits for the first line that matches.
   *
   * @throws {Error} where the process ends before
   */
  async line(pattern: RegExp): Promise<string> {
    const line = this.lines.find((line) => pattern.test(line));
    if (line !== undefined) return line;
    if (this.#isOver) throw this.#ended();
    const found = Promise.withResolvers<string>();
    this.#awaited.push({ pattern, found });
    return await found.promise;
  }

  /** Stops it for a while, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process.kill(signal);
  }

  /** Ends it: by `SIGKILL` at once, by the others as it thinks right; its exit code. */
  async end(signal: "SIGINT" | "SIGKILL" | "SIGTERM"): Promise<number> {
    try {
      this.#process.kill(signal);
    } catch {
      // It has ended.
    }
    const { code } = await this.#process.status;
    await this.#read;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  async #take(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    kind?: "error",
  ): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      if (kind) this.errors.push(...lines);
      for (const line of lines) this.#add(line);
    }
  }

  #add(line: string): void {
    this.lines.push(line);
    this.#awaited = this.#awaited.filter(({ pattern, found }) => {
      if (!pattern.test(line)) return true;
      found.resolve(line);
      return false;
    });
  }

  #ended(): Error {
    return new Error(`The process ended: ${this.lines.join("; ")}`);
  }
}
