/**
 * By how much an image is extended at its sides, as text: `left=64,top=32`.
 *
 * @module
 */

/** Pixels added at each side. */
export interface OutpaintSides {
  /** New columns before the first. */
  readonly left: number;
  /** New rows above the first. */
  readonly top: number;
  /** New columns after the last. */
  readonly right: number;
  /** New rows below the last. */
  readonly bottom: number;
}

/** An image as it is. */
export const NO_SIDES: OutpaintSides = { left: 0, top: 0, right: 0, bottom: 0 };
const SIDE = /^(left|top|right|bottom)=(\d{1,4})$/;
/** Most pixels at a side. */
const MOST = 2048;

/** What matches every valid text, for JSON Schema. */
export const OUTPAINT_PATTERN =
  "^(left|top|right|bottom)=[0-9]{1,4}(,(left|top|right|bottom)=[0-9]{1,4}){0,3}$";

/** Reads a text; undefined where it names no side, one twice, or too many pixels. */
export function outpaintSides(text: string): OutpaintSides | undefined {
  const sides: Record<string, number> = {};
  for (const one of text.split(",", 5)) {
    const [, side, pixels] = SIDE.exec(one.trim()) ?? [];
    if (side === undefined || side in sides || Number(pixels) > MOST) return;
    sides[side] = Number(pixels);
  }
  return Object.values(sides).some((pixels) => pixels > 0)
    ? { ...NO_SIDES, ...sides }
    : undefined;
}

/**
 * The size in which an extended image is made where none is asked for: its own, in
 * sides that the model can have.
 *
 * @param image before it is extended
 * @param multiple what sides must be a multiple of, in pixels
 * @param longest the longest side that an image may have
 */
export function outpaintSize(
  image: { readonly width: number; readonly height: number },
  { left, top, right, bottom }: OutpaintSides,
  multiple: number,
  longest: number,
): { width: number; height: number } {
  const width = image.width + left + right;
  const height = image.height + top + bottom;
  const scale = Math.min(1, longest / Math.max(width, height));
  return scaledSize({ width, height }, scale, multiple);
}

/**
 * A size times a scale, in sides that the model can have.
 *
 * @param multiple what sides must be a multiple of, in pixels
 */
export function scaledSize(
  { width, height }: { readonly width: number; readonly height: number },
  scale: number,
  multiple: number,
): { width: number; height: number } {
  const side = (pixels: number) =>
    Math.max(8, Math.round(pixels * scale / multiple)) * multiple;
  return { width: side(width), height: side(height) };
}
