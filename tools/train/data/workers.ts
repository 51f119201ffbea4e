/**
 * Workers that do tasks, each one at a time.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";

/** Does a task. */
export type Run<Task, Result> = (task: Task) => Promise<Result>;

/** A kind of Worker: where it runs, and how the same is done without one. */
export interface WorkerKind<Setup, Task, Result> {
  /** The module, which calls `serve`. */
  readonly module: URL;
  /** What does tasks in this thread. */
  readonly here: (setup: Setup) => Run<Task, Result>;
}

/** A task that waits, or is being done. */
interface Job<Task, Result> {
  readonly task: Task;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

/** What a Worker answers: a result, or what it failed with, a bug. */
interface Answer<Result> {
  readonly result?: Result;
  readonly failure?: string;
}

/** Does tasks in Workers, or in this thread where there are none. */
export class Workers<Setup, Task, Result> implements Disposable {
  readonly #workers: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Job<Task, Result>>();
  readonly #waiting: Job<Task, Result>[] = [];
  readonly #here: Run<Task, Result> | undefined;
  #failure: Error | undefined;

  /**
   * Starts Workers.
   *
   * @param kind what they do
   * @param setup what all tasks have in common
   * @param count how many; 0: tasks are done in this thread
   */
  constructor(
    kind: WorkerKind<Setup, Task, Result>,
    setup: Setup,
    count: number,
  ) {
    if (count === 0) this.#here = kind.here(setup);
    for (let i = 0; i < count; i++) {
      const worker = new Worker(kind.module, { type: "module" });
      worker.onmessage = ({ data }: MessageEvent<Answer<Result>>) =>
        this.#finish(worker, data);
      worker.onerror = (event) => {
        event.preventDefault();
        this.#stop(new Error(`A Worker failed: ${event.message}`));
      };
      worker.postMessage(setup);
      this.#workers.push(worker);
      this.#idle.push(worker);
    }
  }

  /**
   * Does a task; tasks begin in the order they are given.
   *
   * @throws {MasterWeaverError} `disposed`, and what a Worker failed with
   */
  async run(task: Task): Promise<Result> {
    if (this.#failure) throw this.#failure;
    if (this.#here) return await this.#here(task);
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ task, resolve, reject });
      this.#next();
    });
  }

  /** Ends the Workers; what was not done is rejected. */
  [Symbol.dispose](): void {
    this.#stop(
      new MasterWeaverError("disposed", "The data set's reader was disposed"),
    );
  }

  #next(): void {
    while (this.#idle.length > 0 && this.#waiting.length > 0) {
      const worker = this.#idle.pop()!;
      const job = this.#waiting.shift()!;
      this.#running.set(worker, job);
      worker.postMessage(job.task);
    }
  }

  #finish(worker: Worker, { result, failure }: Answer<Result>): void {
    // A message may still come from a Worker that was ended.
    const job = this.#running.get(worker);
    if (job === undefined) return;
    this.#running.delete(worker);
    this.#idle.push(worker);
    if (result === undefined) job.reject(new Error(failure));
    else job.resolve(result);
    this.#next();
  }

  #stop(error: Error): void {
    this.#failure ??= error;
    for (const worker of this.#workers.splice(0)) worker.terminate();
    this.#idle.length = 0;
    const jobs = [...this.#running.values(), ...this.#waiting.splice(0)];
    this.#running.clear();
    for (const { reject } of jobs) reject(this.#failure);
  }
}

/** A Worker's own side. */
interface WorkerScope<Setup, Task> {
  onmessage: ((event: MessageEvent<Setup | Task>) => void) | null;
  postMessage(message: unknown, transfer?: Transferable[]): void;
}

/**
 * A Worker's work: its first message sets it up, each other one is a task.
 *
 * @param start makes what does tasks
 * @param buffers those of a result that are handed over without copying
 */
export function serve<Setup, Task, Result>(
  start: (setup: Setup) => Run<Task, Result>,
  buffers: (result: Result) => ArrayBuffer[] = () => [],
): void {
  const scope = globalThis as unknown as WorkerScope<Setup, Task>;
  let run: Run<Task, Result> | undefined;
  scope.onmessage = async ({ data }) => {
    if (run === undefined) {
      run = start(data as Setup);
      return;
    }
    try {
      const result = await run(data as Task);
      scope.postMessage({ result }, buffers(result));
    } catch (error) {
      scope.postMessage({ failure: String((error as Error).stack ?? error) });
    }
  };
}
