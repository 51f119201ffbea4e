/**
 * OpenTelemetry's spans of jobs and their stages, where Deno's own telemetry is
 * switched on (`OTEL_DENO=true`); nothing is loaded for it otherwise.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import type { Span, Tracer } from "npm:@opentelemetry/api@1.10.0";
import { environmentVariable } from "../../host/environment.ts";
import type { NumberedEvent } from "../wire/events.ts";
import { isFinal, type Job } from "./job.ts";

/** Makes spans of jobs. */
export interface Telemetry {
  /** Follows a job to its end. */
  watch(job: Job): void;
}

/** Telemetry where it is switched on. */
export async function openTelemetry(): Promise<Telemetry | undefined> {
  if (environmentVariable("OTEL_DENO") !== "true") return undefined;
  // deno-lint-ignore no-import-prefix
  const { context, trace } = await import("npm:@opentelemetry/api@1.10.0");
  const tracer = trace.getTracer("masterweaver");
  return {
    watch(job) {
      const span = tracer.startSpan("job", {
        attributes: { "masterweaver.job": job.id },
      });
      const inside = trace.setSpan(context.active(), span);
      const stages = new Stages(tracer, inside);
      job.listen(0, (event) => {
        stages.take(event);
        if (!isFinal(event.event)) return;
        span.setAttribute("masterweaver.state", job.state);
        // 2 stands for an error; the message may have a prompt in it and stays here.
        if (job.state === "failed") span.setStatus({ code: 2 });
        span.end();
      }, "unseen");
    },
  };
}

type Context = Parameters<Tracer["startSpan"]>[2];

/** The spans of a job's stages, one after the other. */
class Stages {
  readonly #tracer: Tracer;
  readonly #context: Context;
  #name = "";
  #span: Span | undefined;

  constructor(tracer: Tracer, context: Context) {
    this.#tracer = tracer;
    this.#context = context;
  }

  take({ event }: NumberedEvent): void {
    if (event.type === "progress") return this.#enter(event.stage);
    if (event.type === "queued") return this.#enter("queued");
    if (event.type === "started" || isFinal(event)) this.#leave();
  }

  #enter(name: string): void {
    if (name === this.#name) return;
    this.#leave();
    this.#name = name;
    this.#span = this.#tracer.startSpan(name, {}, this.#context);
  }

  #leave(): void {
    this.#span?.end();
    this.#span = undefined;
    this.#name = "";
  }
}
