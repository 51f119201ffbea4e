/**
 * CRC-32C (Castagnoli), as TFRecord files use it: polynomial 0x1EDC6F41,
 * reflected, initial value and final exclusive-or all ones.
 *
 * @module
 */

const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let state = byte;
  for (let bit = 0; bit < 8; bit++) {
    state = state & 1 ? state >>> 1 ^ 0x82f63b78 : state >>> 1;
  }
  return state;
});

/** The CRC-32C of some bytes. */
export function crc32c(bytes: Uint8Array): number {
  let state = -1;
  for (const byte of bytes) state = state >>> 8 ^ table[(state ^ byte) & 0xff];
  return ~state >>> 0;
}

/**
 * The checksum that TFRecord stores: rotated by 15 bits and shifted, so that a
 * checksum of data with checksums in it is as good as any.
 */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return ((crc >>> 15 | crc << 17) + 0xa282ead8) >>> 0;
}
