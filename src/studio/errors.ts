/**
 * Errors of the HTTP API: a status, a stable code and a message.
 *
 * @module
 */
import { type ErrorCode, MasterWeaverError } from "../base/errors.ts";
import type { ErrorResource } from "./wire/resources.ts";

/** The kind of an error of the API's own; stable. */
export type ApiErrorCode =
  /** The request is not what the API takes; `field` says where. */
  | "bad-request"
  /** No token, or a wrong one. */
  | "unauthorized"
  /** The request comes from another site, or names another host. */
  | "forbidden"
  /** There is nothing under this path, or not any more. */
  | "not-found"
  /** This path does not take this method. */
  | "method-not-allowed"
  /** The body, a photo or a field is larger than it may be. */
  | "too-large"
  /** The body is of a type that this path does not take. */
  | "unsupported-type"
  /** The body, or the work, took too long. */
  | "timeout"
  /** Too many jobs wait already. */
  | "queue-full"
  /** Redis, where jobs wait for other machines, cannot be reached. */
  | "queue-away"
  /** The server is about to end. */
  | "shutting-down"
  /** A worker died twice over it, or lacks the model. */
  | "worker"
  /** A bug of this project. */
  | "internal";

/** The name of a field that is the body itself. */
export const WHOLE_BODY = "(body)";

/** An error that an HTTP answer can carry. */
export class ApiError extends Error {
  /** Its name. */
  override readonly name = "ApiError";

  /**
   * An error.
   *
   * @param status HTTP's
   * @param code the kind of error
   * @param message what was given, what was expected and what to do
   * @param more the field it is about; seconds until it is worth trying again
   */
  constructor(
    readonly status: number,
    readonly code: ApiErrorCode,
    message: string,
    readonly more: { readonly field?: string; readonly retryAfter?: number } =
      {},
  ) {
    super(message);
  }
}

/** The error of a field that cannot be used: `Field NAME …`. */
export function badField(field: string, what: string): ApiError {
  return new ApiError(400, "bad-request", `Field ${field} ${what}`, { field });
}

/** HTTP's status of each of the library's errors. */
const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  "bad-option": 400,
  "bad-image": 422,
  "bad-checkpoint": 422,
  "no-face": 422,
  "aborted": 409,
  "out-of-memory": 507,
  "no-adapter": 503,
  "busy": 503,
};

/** HTTP's status of an error, 500 for what is not the client's doing. */
export function statusOf(error: unknown): number {
  if (error instanceof ApiError) return error.status;
  return error instanceof MasterWeaverError ? statuses[error.code] ?? 500 : 500;
}

/** Seconds until it is worth trying again; undefined where that would not help. */
export function retryAfterOf(error: unknown): number | undefined {
  const given = error instanceof ApiError ? error.more.retryAfter : undefined;
  return given ?? (statusOf(error) === 503 ? RETRY_AFTER : undefined);
}

/** Seconds, where the error does not say. */
const RETRY_AFTER = 30;

/** The error as answers and events carry it; what is a bug says no more than that. */
export function errorResource(error: unknown): ErrorResource {
  if (error instanceof ApiError) {
    const { code, message, more: { field } } = error;
    return { code, message, ...field !== undefined && { field } };
  }
  if (error instanceof MasterWeaverError) {
    const { code, message } = error;
    const [, field] = /^Option (\w+) /.exec(message) ?? [];
    return { code, message, ...field !== undefined && { field } };
  }
  return {
    code: "internal",
    message: "The server failed by a bug of its own; its log has the details",
  };
}
