/**
 * Routes requests to operations: path and method, who may, the body's limit and
 * schema, and errors as answers.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import { Hono } from "npm:hono@4.13.19";
import { ApiError, errorResource, retryAfterOf, statusOf } from "../errors.ts";
import type { BodyReader } from "./body.ts";
import type { Guard } from "./guard.ts";
import type { Operation } from "./operation.ts";
import { validator } from "./validate.ts";

/** Answers a request; the address is the client's. */
export type Handler = (
  request: Request,
  address: string,
) => Response | Promise<Response>;

/** What the operations are served with. */
export interface AppOptions {
  /** Decides who may. */
  readonly guard: Guard;
  /** Reads bodies within limits. */
  readonly bodies: BodyReader;
  /** Everything that is no operation: the page. */
  readonly otherwise: (request: Request) => Response | Promise<Response>;
  /** Takes what is a bug. */
  readonly onBug: (error: unknown) => void;
  /** Is told of each answer of an operation. */
  readonly onAnswer: (
    operation: Operation,
    status: number,
    seconds: number,
  ) => void;
}

/** Serves operations. */
export function app(
  operations: readonly Operation[],
  { guard, bodies, otherwise, onBug, onAnswer }: AppOptions,
): Handler {
  const hono = new Hono<{ Bindings: { address: string } }>({ strict: false });
  for (const operation of operations) {
    const { method, path, sayError = apiError } = operation;
    const answer = answerOf(operation, bodies);
    hono.on(method, path, async (context) => {
      const started = performance.now();
      const request = context.req.raw;
      let response: Response;
      try {
        const client = guard.check(request, context.env.address, operation);
        response = await answer(request, context.req.param(), client);
      } catch (error) {
        if (statusOf(error) === 500) onBug(error);
        response = sayError(error);
      }
      onAnswer(
        operation,
        response.status,
        (performance.now() - started) / 1000,
      );
      // Nobody will read it, and a stream would wait for its reader.
      if (request.method === "HEAD") await response.body?.cancel();
      return response;
    });
  }
  const methods = Map.groupBy(operations, ({ path }) => path);
  for (const [path, same] of methods) {
    hono.all(path, () => {
      const allowed = same.map(({ method }) => method.toUpperCase()).join(", ");
      const response = (same[0].sayError ?? apiError)(
        new ApiError(
          405,
          "method-not-allowed",
          `This path takes ${allowed}`,
        ),
      );
      response.headers.set("allow", allowed);
      return response;
    });
  }
  hono.onError((error) => {
    onBug(error);
    return apiError(error);
  });
  hono.notFound((context) => otherwise(context.req.raw));
  return (request, address) => hono.fetch(request, { address });
}

/** Checks a request as its operation says, and lets it answer. */
function answerOf(
  { body, query = {}, anyQuery = false, headers = {}, handle }: Operation,
  bodies: BodyReader,
) {
  const checkBody = body && validator(body.schema);
  const checkQuery = validator({
    type: "object",
    properties: query,
    additionalProperties: anyQuery,
  });
  const checkHeaders = validator({ type: "object", properties: headers });
  return async (
    raw: Request,
    params: Readonly<Record<string, string>>,
    client: string,
  ): Promise<Response> => {
    const asked = Object.fromEntries(new URL(raw.url).searchParams);
    checkQuery(asked);
    const named = Object.fromEntries(
      Object.keys(headers).flatMap((name) => {
        const value = raw.headers.get(name);
        return value === null ? [] : [[name, value] as const];
      }),
    );
    checkHeaders(named);
    const given = body && await bodies.read(raw, body);
    if (given !== undefined) checkBody?.(given);
    return await handle({
      raw,
      params,
      query: asked,
      headers: named,
      body: given,
      client,
      signal: raw.signal,
    });
  };
}

/** An error as the API's own answers say it. */
export function apiError(error: unknown): Response {
  const retryAfter = retryAfterOf(error);
  return Response.json({ error: errorResource(error) }, {
    status: statusOf(error),
    headers: retryAfter === undefined
      ? {}
      : { "retry-after": String(retryAfter) },
  });
}
