/**
 * The type of images in memory.
 *
 * @module
 */

/**
 * An image: 8-bit RGBA, row-major; the web's `ImageData` is one.
 *
 * Images that this library makes or reads are opaque: alpha is 255 everywhere.
 */
export interface Image {
  /** Pixels per row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width * height * 4` bytes. */
  readonly data: Uint8ClampedArray;
}

/** A copy, for a call that works after its caller may have changed its own. */
export function copyImage({ width, height, data }: Image): Image {
  return { width, height, data: new Uint8ClampedArray(data) };
}
