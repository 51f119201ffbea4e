/**
 * How much a test does where an amount is a promise: few by default, all with
 * `MASTERWEAVER_LOAD=all`.
 *
 * @module
 */

/** Whether all is to be done that is promised. */
export const isFullLoad = Deno.env.get("MASTERWEAVER_LOAD") === "all";

/** An amount: less by default than with `MASTERWEAVER_LOAD=all`. */
export function amount(few: number, all: number): number {
  return isFullLoad ? all : few;
}
