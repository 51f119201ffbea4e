/**
 * Draws the landmarks of faces for a ControlNet: a white point of seven pixels for
 * each, on black, as OpenPose's annotator draws the points of a face
 * (`cv2.circle(…, 3, (255, 255, 255), -1)`).
 *
 * @module
 */
import type { Image } from "../image/image.ts";
import type { Point } from "./detect.ts";

/** Half the width of a point's rows, from its middle on. */
const HALF_WIDTHS = [3, 2, 2, 0];

/**
 * Draws points.
 *
 * @param points of one size; those beyond the sides are drawn as far as they reach in
 * @returns opaque
 *
 * @example
 * ```ts
 * import { drawFaceMap } from "./face_map.ts";
 *
 * const { data } = drawFaceMap([[4, 2]], 8, 8);
 * console.log(data[4 * (2 * 8 + 4)]); // 255
 * ```
 */
export function drawFaceMap(
  points: Iterable<Point>,
  width: number,
  height: number,
): Image {
  const data = new Uint8ClampedArray(4 * width * height);
  new Uint32Array(data.buffer).fill(OPAQUE);
  for (const [x, y] of points) {
    for (let row = -3; row <= 3; row++) {
      const at = y + row;
      if (at < 0 || at >= height) continue;
      const half = HALF_WIDTHS[Math.abs(row)];
      const first = Math.max(x - half, 0);
      const end = Math.min(x + half + 1, width);
      if (first < end) {
        data.fill(255, 4 * (at * width + first), 4 * (at * width + end));
      }
    }
  }
  return { width, height, data };
}

/** Black, in the order of bytes that the machine has. */
const [OPAQUE] = new Uint32Array(Uint8Array.of(0, 0, 0, 255).buffer);
