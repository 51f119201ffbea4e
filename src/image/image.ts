/**
 * An image in memory.
 *
 * @module
 */

/**
 * An image: 8-bit RGBA, row-major, as the web's `ImageData` (which is one).
 *
 * Images of this library are opaque: alpha is 255 everywhere.
 */
export interface Image {
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width * height * 4` bytes. */
  readonly data: Uint8ClampedArray;
}
