/**
 * Names files by their content.
 *
 * @module
 */
import { hex, sha256 } from "../../../base/sha256.ts";

/** A text that two files share only where they are the same. */
export async function contentHash(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  // A page that came from another machine without TLS has no `subtle`.
  const { subtle } = crypto as Partial<Crypto>;
  return subtle ? await sha256(bytes) : plainHash(bytes);
}

/** FNV-1a twice, from two bases: enough to tell a browser's photos apart. */
function plainHash(bytes: Uint8Array): string {
  let a = 0x811c9dc5, b = 0x1b873593;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x01000193) ^ (b >>> 15);
  }
  const words = new Uint32Array([a, b, bytes.length]);
  return hex(new Uint8Array(words.buffer));
}
