/**
 * An operation of the HTTP API, declared once: the server's route, the check of
 * what it is sent, and its place in the OpenAPI document all come from it.
 *
 * @module
 */
import type { JsonSchema } from "../../options/types.ts";

/** A schema, and the type of JSON that it lets through. */
export interface Body {
  /** Of the body as JSON, draft 2020-12. */
  readonly schema: JsonSchema;
  /** Whether the same fields may come as `multipart/form-data`, files among them. */
  readonly multipart?: boolean;
  /** Whether the body may be left out. */
  readonly optional?: boolean;
  /** The most bytes, where that is less than what photos take. */
  readonly maxBytes?: number;
}

/** An answer, as the OpenAPI document describes it. */
export interface Answer {
  /** When it is given. */
  readonly description: string;
  /** Its schema; of JSON unless `mediaType` says otherwise. */
  readonly schema?: JsonSchema;
  /** `application/json` where not given. */
  readonly mediaType?: string;
}

/** A request that passed the checks of its operation. */
export interface ApiRequest {
  /** As it came; its body has been read. */
  readonly raw: Request;
  /** Values of the path's parameters. */
  readonly params: Readonly<Record<string, string>>;
  /** Values of the query's parameters. */
  readonly query: Readonly<Record<string, string>>;
  /** Values of the headers that the operation names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body, as its schema says; undefined where there is none. */
  readonly body: unknown;
  /** Who asks, for fairness: a token's or an address's name. */
  readonly client: string;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

/** One operation. */
export interface Operation {
  /** HTTP's method. */
  readonly method: "get" | "post" | "delete";
  /** Its path; parameters as `:name`. */
  readonly path: string;
  /** A group of the document. */
  readonly tag: string;
  /** What it does, in a line. */
  readonly summary: string;
  /** What else a client should know. */
  readonly description?: string;
  /** Schemas of the query's parameters by name; others are refused. */
  readonly query?: Readonly<Record<string, JsonSchema>>;
  /** Schemas of headers by name, in small letters; all may be left out. */
  readonly headers?: Readonly<Record<string, JsonSchema>>;
  /** Whether unknown parameters of the query are passed over, as in the API that it copies. */
  readonly anyQuery?: boolean;
  /** What the body is; an operation without one ignores bodies. */
  readonly body?: Body;
  /** Answers by status; errors that every operation may give are added. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Whether it is open without a token: health alone. */
  readonly open?: boolean;
  /** How it says an error; as the API's own where not given. */
  readonly sayError?: (error: unknown) => Response;
  /** Does it. */
  readonly handle: (request: ApiRequest) => Response | Promise<Response>;
}
