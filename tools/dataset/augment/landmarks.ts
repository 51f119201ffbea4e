/**
 * Landmarks of aligned faces, from those in the image's pixels.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { faceSquare } from "../../../src/face/align.ts";
import type { Point } from "../../../src/face/detect.ts";
import { readShortFile } from "../../../src/host/files.ts";

const MAX_BYTES = 65536;
const COUNT = 68;

/**
 * Reads the landmarks of a face.
 *
 * @throws {MasterWeaverError} `cannot-read` where they are not f32 or f64 (68, 2), all finite
 */
export async function readLandmarks(path: string): Promise<Point[]> {
  const bytes = await readShortFile(path, MAX_BYTES);
  const view = new DataView(bytes.buffer);
  const text = new TextDecoder("latin1").decode(bytes);
  const start = bytes.length > 10 ? 10 + view.getUint16(8, true) : 0;
  const header = text.slice(0, start);
  const type = /'descr': '<(f[48])'/.exec(header)?.[1];
  const width = type === "f8" ? 8 : 4;
  // The first byte, 0x93, is no character of its own in any encoding.
  const isArray = bytes[0] === 0x93 && header.startsWith("NUMPY\x01\0", 1) &&
    type !== undefined &&
    /'fortran_order': False/.test(header) && /\(68, 2\)/.test(header) &&
    bytes.length === start + COUNT * 2 * width;
  const read = (at: number) =>
    width === 8 ? view.getFloat64(at, true) : view.getFloat32(at, true);
  const points = Array.from({ length: isArray ? COUNT : 0 }, (_, i): Point => {
    const at = start + 2 * i * width;
    return [read(at), read(at + width)];
  });
  if (isArray && points.flat().every(Number.isFinite)) return points;
  throw new MasterWeaverError(
    "cannot-read",
    `Cannot read ${path}: expected an array of 68 landmarks, (68, 2), f4 or f8, all finite`,
  );
}

/**
 * Moves landmarks to where they are in the aligned face.
 *
 * @param landmarks in the image's pixels
 * @param size pixels on a side of the aligned face
 * @throws {MasterWeaverError} `bad-option` where they are no face
 */
export function alignLandmarks(
  landmarks: readonly Point[],
  size: number,
): Point[] {
  const { quad: [corner, bottom, , right], size: side } = faceSquare(landmarks);
  const axis = ([x, y]: Point): Point => [
    (x - corner[0]) / side,
    (y - corner[1]) / side,
  ];
  const [across, down] = [axis(right), axis(bottom)];
  const scale = size / side;
  return landmarks.map(([x, y]) => {
    const [dx, dy] = [x - corner[0], y - corner[1]];
    return [
      (dx * across[0] + dy * across[1]) * scale,
      (dx * down[0] + dy * down[1]) * scale,
    ];
  });
}
