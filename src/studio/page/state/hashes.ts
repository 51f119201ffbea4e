/**
 * Hashes of photos, as the browser remembered them.
 *
 * @module
 */

/** The hashes in something that was remembered. */
export function hashesIn(value: unknown): string[] {
  return Array.isArray(value)
    ? value.filter((hash) => typeof hash === "string")
    : [];
}
