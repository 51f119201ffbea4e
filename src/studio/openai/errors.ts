/**
 * Errors in OpenAI's shape.
 *
 * @module
 */
import { ApiError, errorResource, statusOf, WHOLE_BODY } from "../errors.ts";

/** The body of OpenAI's errors. */
export interface OpenAiError {
  /** What went wrong. */
  readonly error: {
    /** What was given, what was expected and what to do. */
    readonly message: string;
    /** Whose fault it is. */
    readonly type: "invalid_request_error" | "server_error";
    /** The field that it is about. */
    readonly param: string | null;
    /** For programs to branch on. */
    readonly code: string;
  };
}

/** OpenAI's codes of what it has a code for. */
const codes: Readonly<Record<string, string>> = {
  unauthorized: "invalid_api_key",
  "bad-request": "invalid_value",
  "bad-option": "invalid_value",
};

/** An error's body, and the status that OpenAI's clients expect with it. */
export function openAiError(
  error: unknown,
): { readonly status: number; readonly body: OpenAiError } {
  const { code, message, field } = errorResource(error);
  const ours = statusOf(error);
  // Theirs has no 415 and 422 for a file that it cannot use.
  const status = ours === 415 || ours === 422 ? 400 : ours;
  const isModel = status === 404 && field === "model";
  return {
    status,
    body: {
      error: {
        message,
        type: status < 500 ? "invalid_request_error" : "server_error",
        param: field === undefined || field === WHOLE_BODY ? null : field,
        code: isModel
          ? "model_not_found"
          : codes[code] ?? code.replaceAll("-", "_"),
      },
    },
  };
}

/** Answers with an error. */
export function sayOpenAiError(error: unknown): Response {
  const { status, body } = openAiError(error);
  const retryAfter = error instanceof ApiError
    ? error.more.retryAfter
    : undefined;
  return Response.json(body, {
    status,
    headers: retryAfter !== undefined
      ? { "retry-after": String(retryAfter) }
      // Its clients repeat what failed with 409 or 5xx, images and all.
      : { "x-should-retry": "false" },
  });
}
