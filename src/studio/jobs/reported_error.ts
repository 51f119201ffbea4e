/**
 * What a job reported as its error, as an error again.
 *
 * @module
 */
import { type ErrorCode, MasterWeaverError } from "../../base/errors.ts";
import { ApiError, type ApiErrorCode } from "../errors.ts";
import type { ErrorResource } from "../wire/resources.ts";

/** HTTP's status of the API's own errors that can end what runs; all others are the library's. */
const statuses: Readonly<Partial<Record<string, number>>> = {
  "too-large": 413,
  "internal": 500,
  "queue-full": 503,
  "queue-away": 503,
  "worker": 503,
  "timeout": 504,
} satisfies Partial<Record<ApiErrorCode, number>>;

/** The error that a report is of: the inverse of `errorResource`. */
export function reportedError({ code, message, field }: ErrorResource): Error {
  const status = statuses[code];
  return status === undefined
    ? new MasterWeaverError(code as ErrorCode, message)
    : new ApiError(status, code as ApiErrorCode, message, { field });
}
