/**
 * Lets others have their turn between two long steps.
 *
 * @module
 */

/** Waits until the event loop has done what waits already, such as an answer to `/api/health`. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
