/**
 * Every operation of the HTTP API.
 *
 * @module
 */
import { a1111Operations } from "./a1111/operations.ts";
import { type EventOptions, eventsOperation } from "./api/events.ts";
import { facesOperation } from "./api/faces.ts";
import { generateOperation } from "./api/generate.ts";
import { identityOperations } from "./api/identities.ts";
import { jobOperations } from "./api/jobs.ts";
import type { Studio } from "./api/studio.ts";
import { systemOperations } from "./api/system.ts";
import type { Operation } from "./http/operation.ts";
import { openaiOperations } from "./openai/operations.ts";

/** All of them, as the OpenAPI document lists them. */
export function allOperations(
  studio: Studio,
  events: EventOptions,
): Operation[] {
  // Clients that leave are noticed by these alone.
  const period = events.keepAlive / 3;
  return [
    generateOperation(studio),
    ...jobOperations(studio),
    eventsOperation(studio, events),
    facesOperation(studio),
    ...identityOperations(studio),
    ...systemOperations(studio),
    ...openaiOperations(studio, period),
    ...a1111Operations(studio, period),
  ];
}
