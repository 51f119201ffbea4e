/**
 * A studio in a process of its own, with an engine that draws: for tests that
 * end it by signals, or measure its memory.
 *
 *     deno run -A tests/support/drawing_server.ts '{"stepTime": 5}'
 *
 * @module
 */
import { jobLog } from "../../src/studio/command/job_log.ts";
import { serveUntilSignal } from "../../src/studio/command/until_signal.ts";
import { writeStderr } from "../../src/host/streams.ts";
import { deno } from "./command.ts";
import { repositoryPath } from "./paths.ts";
import { testStudio, type TestStudioOptions } from "./studio_server.ts";

/** What goes to the process as JSON. */
export type DrawingServerOptions =
  & Pick<
    TestStudioOptions,
    | "stepTime"
    | "isInstant"
    | "failsFor"
    | "maxWaiting"
    | "jobTimeout"
    | "token"
  >
  & Pick<
    TestStudioOptions,
    "limits" | "connections" | "keepAlive" | "kept" | "cancelUnwatched"
  >
  & {
    /** Milliseconds that the running job may take after a signal. */
    readonly patience?: number;
  };

/** How a process is. */
export interface ProcessState {
  /** Resident bytes, after its garbage was collected. */
  readonly rss: number;
  /** Bytes of its objects. */
  readonly heap: number;
  /** The longest time in which it did nothing else since this was last asked, in milliseconds. */
  readonly stop: number;
}

/** A process that serves. */
export class DrawingServer implements AsyncDisposable {
  /** How to reach it. */
  readonly url: string;
  /** All that it wrote to standard error so far. */
  err = "";
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;

  private constructor(child: Deno.ChildProcess, url: string) {
    this.url = url;
    this.#child = child;
    this.#read = this.#readErr();
  }

  /** Starts one, and waits until it listens. */
  static async start(
    options: DrawingServerOptions = {},
  ): Promise<DrawingServer> {
    const script = repositoryPath("tests/support/drawing_server.ts");
    const child = deno([
      ...["run", "-A", "--v8-flags=--expose-gc", script],
      JSON.stringify(options),
    ]);
    let text = "";
    for await (
      const chunk of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      text += chunk;
      if (text.endsWith("\n")) break;
    }
    return new DrawingServer(child, text.trim());
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** The state of its process. */
  async state(): Promise<ProcessState> {
    const start = this.err.length;
    this.kill("SIGUSR1");
    await this.wrote("}\n", start);
    const [line] = this.err.slice(start).match(/\{"rss".*\}/) ?? ["{}"];
    return JSON.parse(line);
  }

  /** Waits until it wrote something to standard error. */
  async wrote(text: string, after = 0): Promise<void> {
    for (let i = 0; i < 1000; i++) {
      if (this.err.includes(text, after)) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`No ${text} in: ${this.err.slice(-2000)}`);
  }

  /** Waits for its end. */
  async ended(): Promise<Deno.CommandStatus> {
    await this.#read;
    return await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.ended();
  }

  async #readErr(): Promise<void> {
    for await (
      const chunk of this.#child.stderr.pipeThrough(new TextDecoderStream())
    ) this.err += chunk;
  }
}

if (import.meta.main) {
  const { patience, ...options }: DrawingServerOptions = JSON.parse(
    Deno.args[0],
  );
  const studio = await testStudio({ ...options, log: jobLog(false) });
  let last = performance.now(), stop = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    stop = Math.max(stop, now - last - 5);
    last = now;
  }, 5);
  Deno.addSignalListener("SIGUSR1", () => {
    const before = stop;
    // What the first finds to finalise, the second frees.
    for (let i = 0; i < 2; i++) Object(globalThis).gc();
    const { rss, heapUsed: heap } = Deno.memoryUsage();
    writeStderr(`${JSON.stringify({ rss, heap, stop: before })}\n`);
    stop = 0;
    last = performance.now();
  });
  console.log(studio.url);
  await serveUntilSignal(studio, patience);
  clearInterval(timer);
}
