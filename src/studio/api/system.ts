/**
 * `GET /api/model`, `GET /api/extras` and `GET /api/health`.
 *
 * @module
 */
import type { Operation } from "../http/operation.ts";
import { extrasSchema, healthSchema, modelSchema } from "./schemas.ts";
import type { Studio } from "./studio.ts";

/** The operations. */
export function systemOperations({ queue }: Studio): Operation[] {
  return [{
    method: "get",
    path: "/api/model",
    tag: "Server",
    summary: "The model",
    answers: { 200: { description: "The model", schema: modelSchema } },
    handle: () => Response.json(queue.model),
  }, {
    method: "get",
    path: "/api/extras",
    tag: "Server",
    summary: "The extra files that images can use, by name",
    answers: { 200: { description: "Their names", schema: extrasSchema } },
    handle: async () => Response.json(await queue.extras()),
  }, {
    method: "get",
    path: "/api/health",
    tag: "Server",
    summary: "Whether the server is there",
    open: true,
    answers: { 200: { description: "It is", schema: healthSchema } },
    handle() {
      const { counts, workers } = queue;
      return Response.json({ status: "ok", ...counts, workers });
    },
  }];
}
