/**
 * Advice in errors, as a page gives it.
 *
 * @module
 */

/** An error with the core's own advice: whoever has a page has no tools to run. */
export function asItIs(error: unknown): unknown {
  return error;
}
