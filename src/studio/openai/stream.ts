/**
 * A job's images as a stream of OpenAI's events: a few partial images, then each
 * finished one.
 *
 * @module
 */
import type { Studio } from "../api/studio.ts";
import { failureOf } from "../compatible/ended.ts";
import { isFinal, type Job } from "../jobs/job.ts";
import type { JobEvent } from "../wire/events.ts";
import { echoOf, now, usage } from "./answer.ts";
import { openAiError } from "./errors.ts";
import type { ImageFields } from "./fields.ts";

/** What a stream is of. */
export type StreamKind = "image_generation" | "image_edit";

/**
 * Answers with events.
 *
 * @param kind the prefix of their types
 * @param period milliseconds between comments, so that no proxy gives up on it
 */
export function streamAnswer(
  studio: Studio,
  job: Job,
  fields: ImageFields,
  { kind, period }: { readonly kind: StreamKind; readonly period: number },
): Response {
  const encoder = new TextEncoder();
  let listening: Disposable | undefined;
  let timer: ReturnType<typeof setInterval>;
  const stop = () => {
    clearInterval(timer);
    listening?.[Symbol.dispose]();
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const sendText = (text: string) =>
        controller.enqueue(encoder.encode(text));
      const send = (type: string, data: object) =>
        sendText(
          `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`,
        );
      timer = setInterval(() => sendText(": still here\n\n"), period);
      const sendPartial = partials(job, fields, kind, send);
      listening = job.listen(0, ({ event }) => {
        sendPartial(event);
        if (!isFinal(event)) return;
        sendEnd(job, fields, kind, send);
        stop();
        controller.close();
      });
    },
    async cancel() {
      stop();
      await studio.queue.cancel(job, "The client has gone");
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    },
  });
}

type Send = (type: string, data: object) => void;

/**
 * Sends previews at even distances: with two partial images, after a third and
 * after two thirds of the steps, or as soon after as there is one.
 */
function partials(
  job: Job,
  fields: ImageFields,
  kind: StreamKind,
  send: Send,
): (event: JobEvent) => void {
  const wanted = fields.partial_images ?? 0;
  let sent = 0;
  return (event) => {
    if (event.type !== "preview" || sent >= wanted) return;
    const { step, total, images: [image] } = event;
    const isDue = step * (wanted + 1) >= total * (sent + 1) && step < total;
    if (!isDue || image === undefined) return;
    send(`${kind}.partial_image`, {
      b64_json: image.slice(image.indexOf(",") + 1),
      created_at: now(),
      partial_image_index: sent++,
      ...echoOf(fields, job),
      output_format: "png",
    });
  };
}

function sendEnd(
  job: Job,
  fields: ImageFields,
  kind: StreamKind,
  send: Send,
): void {
  const failure = failureOf(job);
  if (failure) return send("error", openAiError(failure).body);
  for (const { bytes } of job.images) {
    send(`${kind}.completed`, {
      b64_json: bytes.toBase64(),
      created_at: now(),
      ...echoOf(fields, job),
      usage,
    });
  }
}
