/**
 * Every operation of the HTTP API.
 *
 * @module
 */
import { sayA1111Error } from "./a1111/errors.ts";
import { a1111Operations } from "./a1111/operations.ts";
import { type EventOptions, eventsOperation } from "./api/events.ts";
import { facesOperation } from "./api/faces.ts";
import { generateOperation } from "./api/generate.ts";
import { identityOperations } from "./api/identities.ts";
import { jobOperations } from "./api/jobs.ts";
import { type Metrics, metricsOperation } from "./api/metrics.ts";
import { errorSchema } from "./api/schemas.ts";
import type { Studio } from "./api/studio.ts";
import { systemOperations } from "./api/system.ts";
import { upscaleOperation } from "./api/upscale.ts";
import { apiError } from "./http/app.ts";
import { documentOperations } from "./http/docs.ts";
import type { Operation } from "./http/operation.ts";
import { sayOpenAiError } from "./openai/errors.ts";
import { openaiOperations } from "./openai/operations.ts";

/** What operations need beside the studio. */
export interface OperationOptions {
  /** How streams of events are kept alive. */
  readonly events: EventOptions;
  /** What is counted. */
  readonly metrics: Metrics;
  /** The name of the cookie that stands for the token; undefined where none is needed. */
  readonly cookie?: string;
}

/** All of them, as the OpenAPI document lists them. */
export function allOperations(
  studio: Studio,
  { events, metrics, cookie }: OperationOptions,
): Operation[] {
  // Clients that leave are noticed by these alone.
  const period = events.keepAlive / 3;
  const operations = [
    generateOperation(studio),
    upscaleOperation(studio),
    ...jobOperations(studio),
    eventsOperation(studio, events),
    facesOperation(studio),
    ...identityOperations(studio),
    ...systemOperations(studio),
    metricsOperation(studio.queue, metrics),
    ...openaiOperations(studio, period),
    ...a1111Operations(studio, period),
  ];
  const document = documentOperations(operations, { cookie, errorSchema });
  return [...operations, ...document];
}

/** Says errors at a path that is no operation: as the API does that has such paths. */
export function sayErrorAt(path: string): (error: unknown) => Response {
  if (path.startsWith("/v1/")) return sayOpenAiError;
  return /^\/(sdapi|controlnet)\//.test(path) ? sayA1111Error : apiError;
}
