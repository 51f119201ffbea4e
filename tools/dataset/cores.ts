/**
 * How many processes are worth their memory.
 *
 * @module
 */

/** The machine's logical cores. */
export function cores(): number {
  return navigator.hardwareConcurrency;
}
