/**
 * `GET /api/jobs/:id/events`: a job's events as they happen, as server-sent
 * events that resume where a connection broke.
 *
 * @module
 */
import type { Operation } from "../http/operation.ts";
import { isFinal, type Job } from "../jobs/job.ts";
import type { NumberedEvent } from "../wire/events.ts";
import { errorAnswer } from "./schemas.ts";
import type { Studio } from "./studio.ts";

/** How a stream of events is kept alive. */
export interface EventOptions {
  /** Milliseconds between comments that keep proxies from closing it. */
  readonly keepAlive: number;
  /** Bytes that may wait for a slow reader. */
  readonly room: number;
  /** Is told when somebody stopped listening to a job. */
  readonly onLeave: (job: Job) => void;
}

/** The operation. */
export function eventsOperation(
  { jobs }: Studio,
  options: EventOptions,
): Operation {
  return {
    method: "get",
    path: "/api/jobs/:id/events",
    tag: "Jobs",
    summary: "A job's events as they happen",
    description:
      "Server-sent events: `event` is the type, `data` the rest in JSON. Ends after the job's last; with `Last-Event-ID` it goes on after that one.",
    answers: {
      200: { description: "The events", mediaType: "text/event-stream" },
      404: errorAnswer("There is no such job, or not any more"),
    },
    handle({ raw, params }) {
      const job = jobs.get(params.id);
      const last = raw.headers.get("last-event-id") ?? "";
      const after = /^\d{1,15}$/.test(last) ? Number(last) : 0;
      return new Response(eventStream(job, after, options), {
        headers: {
          "content-type": "text/event-stream; charset=utf-8",
          "cache-control": "no-store",
          // Proxies of nginx's kind would collect the events.
          "x-accel-buffering": "no",
        },
      });
    },
  };
}

/** The text of the events after one, to the job's end. */
function eventStream(
  job: Job,
  after: number,
  options: EventOptions,
): ReadableStream<Uint8Array> {
  let listener: Listener | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      listener = new Listener(job, controller, options);
      listener.start(after);
    },
    cancel: () => listener?.stop(),
  }, new ByteLengthQueuingStrategy({ highWaterMark: options.room }));
}

/** Comments that a reader may leave unread before it counts as gone. */
const PATIENCE = 3;
const encoder = new TextEncoder();

/** One reader of a job's events. */
class Listener {
  readonly #job: Job;
  readonly #out: ReadableStreamDefaultController<Uint8Array>;
  readonly #options: EventOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #listening: Disposable | null = null;
  #hasEnded = false;
  #unread = 0;

  constructor(
    job: Job,
    out: ReadableStreamDefaultController<Uint8Array>,
    options: EventOptions,
  ) {
    this.#job = job;
    this.#out = out;
    this.#options = options;
    this.#timer = setInterval(() => this.#keepAlive(), options.keepAlive);
  }

  /** Sends the events after one, then each as it happens. */
  start(after: number): void {
    this.#send("retry: 1000\n\n");
    this.#listening = this.#job.listen(after, (event) => this.#take(event));
    // The job may have ended before, and the reader may know its last event.
    if (!this.#hasEnded && this.#job.endedAt !== null) this.#end();
    else if (this.#hasEnded) this.#listening[Symbol.dispose]();
  }

  /** Listens no more. */
  stop(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearInterval(this.#timer);
    this.#listening?.[Symbol.dispose]();
    this.#options.onLeave(this.#job);
  }

  #take(numbered: NumberedEvent): void {
    if (this.#hasEnded) return;
    const { type } = numbered.event;
    // A slow reader gets only what counts: the next of these says more, anyway.
    if (this.#isFull && (type === "preview" || type === "progress")) return;
    this.#send(eventText(numbered));
    if (isFinal(numbered.event)) this.#end();
  }

  #end(): void {
    this.stop();
    this.#out.close();
  }

  #keepAlive(): void {
    this.#unread = this.#isFull ? this.#unread + 1 : 0;
    if (this.#unread < PATIENCE) return this.#send(": still here\n\n");
    // Whatever its connection says, nobody reads any more.
    this.stop();
    this.#out.error(new Error("The reader takes nothing"));
  }

  get #isFull(): boolean {
    return (this.#out.desiredSize ?? 0) <= 0;
  }

  #send(text: string): void {
    this.#out.enqueue(encoder.encode(text));
  }
}

function eventText({ id, event }: NumberedEvent): string {
  const { type, ...data } = event;
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
