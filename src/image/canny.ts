/**
 * Canny's edges, equal to those of OpenCV's `cv2.Canny(image, low, high)` in every
 * pixel: Sobel's gradients of 3 × 3, their strength |dx| + |dy|, edges continued
 * beyond the image's sides as its last pixels.
 *
 * @module
 */
import { inChunks, Pauser } from "../base/pauser.ts";
import type { Image } from "./image.ts";

/** The thresholds that diffusers' documentation uses. */
const CANNY_THRESHOLDS = { low: 100, high: 200 } as const;

/** tan(22.5°), in units of 2⁻¹⁵. */
const TAN_22 = 13573;
const SHIFT = 2 ** 15;

/** Marks of pixels, besides 0: an edge where it touches one, and an edge. */
const [WEAK, EDGE] = [1, 2];

/** Gradients of all pixels: those of the channel where they are strongest. */
interface Gradients {
  /** To the right. */
  readonly dx: Int16Array;
  /** Downwards. */
  readonly dy: Int16Array;
  /** |dx| + |dy| */
  readonly strength: Int32Array;
}

/**
 * Finds edges.
 *
 * @param image its alpha is ignored
 * @param thresholds a pixel above `high` is an edge, and so is one above `low` that touches an edge
 * @param pauser when to pause; its signal stops the search
 * @returns white on black
 * @throws {MasterWeaverError} `aborted`
 *
 * @example
 * ```ts
 * import { cannyEdges } from "./canny.ts";
 *
 * const image = { width: 4, height: 3, data: new Uint8ClampedArray(48).fill(255) };
 * const { data } = await cannyEdges(image);
 * console.log(data[0]); // 0: it has no edges
 * ```
 */
export async function cannyEdges(
  image: Image,
  { low, high }: { readonly low: number; readonly high: number } =
    CANNY_THRESHOLDS,
  pauser: Pauser = new Pauser(),
): Promise<Image> {
  const { width, height } = image;
  const gradients = await gradientsOf(image, pauser);
  const marks = new Uint8Array(width * height);
  const open: number[] = [];
  await inChunks(marks.length, pauser, (first, end) => {
    for (let at = first; at < end; at++) {
      const strength = gradients.strength[at];
      if (strength <= low || !isPeak(gradients, at, width, height)) continue;
      marks[at] = strength > high ? EDGE : WEAK;
      if (strength > high) open.push(at);
    }
  });
  followEdges(marks, open, width, height);
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < marks.length; i++) {
    const value = marks[i] === EDGE ? 255 : 0;
    data.set([value, value, value, 255], 4 * i);
  }
  return { width, height, data };
}

async function gradientsOf(
  { width, height, data }: Image,
  pauser: Pauser,
): Promise<Gradients> {
  const dx = new Int16Array(width * height);
  const dy = new Int16Array(width * height);
  const strength = new Int32Array(width * height);
  await inChunks(strength.length, pauser, (first, end) => {
    for (let at = first; at < end; at++) {
      const [x, y] = [at % width, Math.floor(at / width)];
      const above = Math.max(y - 1, 0) * width;
      const below = Math.min(y + 1, height - 1) * width;
      const left = Math.max(x - 1, 0);
      const right = Math.min(x + 1, width - 1);
      for (let c = 0; c < 3; c++) {
        const value = (row: number, column: number) =>
          data[4 * (row + column) + c];
        const nw = value(above, left), ne = value(above, right);
        const sw = value(below, left), se = value(below, right);
        const across = ne - nw + se - sw +
          2 * (value(y * width, right) - value(y * width, left));
        const down = sw - nw + se - ne +
          2 * (value(below, x) - value(above, x));
        const sum = Math.abs(across) + Math.abs(down);
        // The first of equally strong channels.
        if (c > 0 && sum <= strength[at]) continue;
        dx[at] = across;
        dy[at] = down;
        strength[at] = sum;
      }
    }
  });
  return { dx, dy, strength };
}

/** Whether a gradient is the strongest along its own direction. */
function isPeak(
  { dx, dy, strength }: Gradients,
  at: number,
  width: number,
  height: number,
): boolean {
  const [x, y] = [at % width, Math.floor(at / width)];
  const own = strength[at];
  // Beyond the sides there are none.
  const beside = (right: number, down: number) => {
    const [column, row] = [x + right, y + down];
    const isInside = column >= 0 && column < width && row >= 0 && row < height;
    return isInside ? strength[row * width + column] : 0;
  };
  const across = Math.abs(dx[at]);
  const down = Math.abs(dy[at]) * SHIFT;
  const tan22 = across * TAN_22;
  if (down < tan22) return own > beside(-1, 0) && own >= beside(1, 0);
  // tan(67.5°) = tan(22.5°) + 2
  if (down > tan22 + 2 * SHIFT * across) {
    return own > beside(0, -1) && own >= beside(0, 1);
  }
  const side = (dx[at] ^ dy[at]) < 0 ? -1 : 1;
  return own > beside(-side, -1) && own > beside(side, 1);
}

/** Makes edges of the weak pixels that touch one, directly or by others. */
function followEdges(
  marks: Uint8Array,
  open: number[],
  width: number,
  height: number,
): void {
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const [x, y] = [at % width, Math.floor(at / width)];
    for (let row = Math.max(y - 1, 0); row <= y + 1 && row < height; row++) {
      for (
        let column = Math.max(x - 1, 0);
        column <= x + 1 && column < width;
        column++
      ) {
        const next = row * width + column;
        if (marks[next] !== WEAK) continue;
        marks[next] = EDGE;
        open.push(next);
      }
    }
  }
}
