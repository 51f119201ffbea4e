/**
 * Errors as AUTOMATIC1111's web UI answers with them: FastAPI's list of details
 * for a wrong field, and a shape of its own for all else.
 *
 * @module
 */
import { ApiError, errorResource, statusOf, WHOLE_BODY } from "../errors.ts";

/** Codes of what is wrong with a field. */
const fieldCodes = ["bad-request", "bad-option", "too-large"];

/** Answers with an error. */
export function sayA1111Error(error: unknown): Response {
  const { code, message, field } = errorResource(error);
  const status = statusOf(error);
  const isOfField = fieldCodes.includes(code) || status === 415;
  if (isOfField) {
    const isWhole = field === undefined || field === WHOLE_BODY;
    const loc = ["body", ...isWhole ? [] : field.split(".")];
    const detail = [{ type: "value_error", loc, msg: message }];
    return Response.json({ detail }, { status: 422 });
  }
  const retryAfter = error instanceof ApiError
    ? error.more.retryAfter
    : undefined;
  return Response.json(
    { error: "HTTPException", detail: message, body: "", errors: message },
    {
      status,
      headers: {
        ...retryAfter !== undefined && { "retry-after": String(retryAfter) },
        ...status === 401 && { "www-authenticate": "Basic" },
      },
    },
  );
}
