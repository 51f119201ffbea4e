/**
 * Calls a Worker, one call at a time, and replaces it where it dies or does not
 * come back.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { CallQueue } from "../../call_queue.ts";
import {
  type CallTypes,
  fromSent,
  type FromWorker,
  type ToWorker,
} from "./messages.ts";

/** How long a Worker may take, in milliseconds. */
export interface Patience {
  /** To stop a call that was aborted; then the Worker is replaced. */
  readonly stop: number;
  /** Without a sign of life while a call runs; then it counts as dead. */
  readonly silence: number;
}

/** The Worker that is called. */
export interface WorkerKind {
  /** Its module. */
  readonly module: URL;
  /** What it is started with; must be clonable. */
  readonly setup: unknown;
  /** What messages call it, such as `GPU`. */
  readonly name: string;
  /** How long it may take. */
  readonly patience: Patience;
  /** The call with which it frees what it has, before it is ended; its input is null. */
  readonly lastCall?: string;
}

/** What goes with a call. */
export interface CallDetails<Event> {
  /** Stops it. */
  readonly signal?: AbortSignal;
  /** Receives what the Worker reports. */
  readonly onEvent?: (event: Event) => void;
  /** Buffers of the input that are handed over rather than copied. */
  readonly transfer?: Transferable[];
  /** When the Worker is replaced, and what the caller is told then. */
  readonly limit?: { readonly milliseconds: number; readonly error: Error };
}

/** The call that runs. */
interface Running {
  readonly id: number;
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onEvent: (event: unknown) => void;
}

/** A Worker that is started when it is first called. */
export class WorkerCalls<Calls extends CallTypes> implements AsyncDisposable {
  readonly #kind: WorkerKind;
  readonly #queue = new CallQueue();
  #worker: Worker | null = null;
  #running: Running | null = null;
  #lastId = 0;
  /** When the Worker last sent anything. */
  #lastSign = 0;

  /** Starts nothing yet. */
  constructor(kind: WorkerKind) {
    this.#kind = kind;
  }

  /** Whether there is a Worker. */
  get isStarted(): boolean {
    return this.#worker !== null;
  }

  /**
   * Waits for earlier calls, then makes this one.
   *
   * @throws what the Worker's handler throws; {MasterWeaverError} `aborted`, `disposed`, and `gpu` where the Worker died
   */
  call<Name extends keyof Calls & string>(
    name: Name,
    input: Calls[Name]["input"],
    details: CallDetails<Calls[Name]["event"]> = {},
  ): Promise<Calls[Name]["output"]> {
    return this.#queue.run(
      details,
      (signal) => this.#call(name, input, { ...details, signal }),
    );
  }

  /** Ends the Worker after its last call, where there is one; the next call starts another. */
  retire(): Promise<void> {
    return this.#queue.run({}, () => this.#endKindly());
  }

  async #call<Event>(
    name: string,
    input: unknown,
    { signal, onEvent, transfer = [], limit }: CallDetails<Event>,
  ): Promise<unknown> {
    const { patience } = this.#kind;
    const worker = this.#worker ??= this.#start();
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#running = {
      id,
      resolve,
      reject,
      onEvent: (event) => onEvent?.(event as Event),
    };
    const timers: ReturnType<typeof setTimeout>[] = [];
    const stop = () => {
      send(worker, { type: "abort", id });
      const error = new MasterWeaverError(
        "aborted",
        `Stopped before it was done; the ${this.#kind.name} Worker did not stop by itself and was replaced`,
      );
      timers.push(setTimeout(() => this.#end(error), patience.stop));
    };
    try {
      this.#lastSign = performance.now();
      send(worker, { type: "call", id, name, input }, transfer);
      signal?.addEventListener("abort", stop);
      if (signal?.aborted) stop();
      if (limit) {
        const { milliseconds, error } = limit;
        timers.push(setTimeout(() => this.#end(error), milliseconds));
      }
      timers.push(setInterval(() => this.#ping(worker), patience.silence / 4));
      return await promise;
    } finally {
      timers.forEach((timer) => clearTimeout(timer));
      signal?.removeEventListener("abort", stop);
      this.#running = null;
    }
  }

  #start(): Worker {
    const { module, setup } = this.#kind;
    const worker = new Worker(module, { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (worker === this.#worker) this.#take(data);
    };
    worker.onerror = (event) => {
      // Else it would end the server, too.
      event.preventDefault();
      if (worker === this.#worker) this.#end(this.#died(event.message));
    };
    send(worker, { type: "start", setup });
    return worker;
  }

  #take(message: FromWorker): void {
    this.#lastSign = performance.now();
    if (message.type === "pong" || message.id !== this.#running?.id) return;
    const { onEvent, resolve, reject } = this.#running;
    switch (message.type) {
      case "event":
        return onEvent(message.event);
      case "result":
        return resolve(message.output);
      case "error":
        return reject(fromSent(message.error));
    }
  }

  /** Asks for a sign of life: a Worker that closes itself says nothing. */
  #ping(worker: Worker): void {
    const { silence } = this.#kind.patience;
    if (performance.now() - this.#lastSign > silence) {
      return this.#end(this.#died(`no sign of life for ${silence / 1000} s`));
    }
    send(worker, { type: "ping" });
  }

  #died(why: string): MasterWeaverError {
    return new MasterWeaverError(
      "gpu",
      `The ${this.#kind.name} Worker died (${why}) and is started again; try again`,
    );
  }

  async #endKindly(): Promise<void> {
    const { lastCall } = this.#kind;
    if (!this.#worker) return;
    try {
      if (lastCall !== undefined) await this.#call(lastCall, null, {});
    } finally {
      this.#end();
    }
  }

  /** Ends the Worker; the call that runs is rejected. */
  #end(error?: Error): void {
    this.#worker?.terminate();
    this.#worker = null;
    if (error) this.#running?.reject(error);
  }

  /** Stops the call that runs, refuses later ones and ends the Worker. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close();
    // What it could not free, its end frees.
    await this.#endKindly().catch(() => {});
  }
}

function send(
  worker: Worker,
  message: ToWorker,
  transfer: Transferable[] = [],
): void {
  worker.postMessage(message, transfer);
}
