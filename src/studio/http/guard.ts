/**
 * Who may ask: the host that is named, the site it comes from, the token.
 *
 * @module
 */
import type { Operation } from "./operation.ts";

/** Decides who may. */
export interface Guard {
  /**
   * Checks a request before its body is read.
   *
   * @param address the client's
   * @returns who asks, for fairness
   * @throws {ApiError} 401 `unauthorized`, 403 `forbidden`
   */
  check(
    request: Request,
    address: string,
    operation: Pick<Operation, "open">,
  ): string;
}
