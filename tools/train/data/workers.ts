/**
 * Workers that make samples, each one at a time.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import {
  type Task,
  type TaskResult,
  taskRunner,
  type TaskSetup,
} from "./tasks.ts";

/** A task that waits, or is being done. */
interface Job {
  readonly task: Task;
  readonly resolve: (result: TaskResult) => void;
  readonly reject: (error: Error) => void;
}

/** What a Worker answers. */
interface Answer {
  readonly result?: TaskResult;
  readonly failure?: string;
}

/** Does tasks in Workers, or in this thread where there are none. */
export class SampleWorkers implements Disposable {
  readonly #workers: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Job>();
  readonly #waiting: Job[] = [];
  readonly #here: ((task: Task) => Promise<TaskResult>) | undefined;
  #failure: Error | undefined;

  /**
   * Starts Workers.
   *
   * @param count how many; 0: tasks are done in this thread
   */
  constructor(setup: TaskSetup, count: number) {
    if (count === 0) this.#here = taskRunner(setup);
    for (let i = 0; i < count; i++) {
      const worker = new Worker(new URL("./worker.ts", import.meta.url), {
        type: "module",
        name: `data ${i}`,
      });
      worker.onmessage = ({ data }: MessageEvent<Answer>) =>
        this.#finish(worker, data);
      worker.onerror = (event) => {
        event.preventDefault();
        this.#fail(`${event.message}`);
      };
      worker.postMessage(setup);
      this.#workers.push(worker);
      this.#idle.push(worker);
    }
  }

  /**
   * Does a task, in the order they are given.
   *
   * @throws {MasterWeaverError} `disposed`, and what a Worker failed with
   */
  async run(task: Task): Promise<TaskResult> {
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
      new MasterWeaverError("disposed", "The data loader was disposed"),
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

  #finish(worker: Worker, { result, failure }: Answer): void {
    const job = this.#running.get(worker);
    this.#running.delete(worker);
    this.#idle.push(worker);
    if (result) job?.resolve(result);
    else job?.reject(new Error(failure));
    this.#next();
  }

  #fail(message: string): void {
    this.#stop(new Error(`A Worker of the data loader failed: ${message}`));
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
