/**
 * Hashes as text.
 *
 * @module
 */

/**
 * The SHA-256 of some bytes, or of a text in UTF-8, as 64 hexadecimal digits in small letters.
 *
 * @example
 * ```ts
 * import { sha256 } from "./sha256.ts";
 *
 * console.log((await sha256("")).slice(0, 8)); // "e3b0c442"
 * ```
 */
export async function sha256(
  data: Uint8Array<ArrayBuffer> | string,
): Promise<string> {
  const bytes = typeof data === "string"
    ? new TextEncoder().encode(data)
    : data;
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/**
 * Bytes as hexadecimal digits in small letters. Not `toHex`: Node 24 and older
 * browsers lack it.
 *
 * @example
 * ```ts
 * import { hex } from "./sha256.ts";
 *
 * console.log(hex(Uint8Array.of(1, 255))); // "01ff"
 * ```
 */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
