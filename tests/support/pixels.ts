/**
 * Images that must be equal in every byte, kept as one hash for every 32 rows, so
 * that a test says where an image differs.
 *
 * @module
 */
import type { Image } from "../../src/image/image.ts";
import { repositoryPath } from "./paths.ts";

const ROWS = 32;

/** What is kept of an image. */
export interface PixelHashes {
  readonly width: number;
  readonly height: number;
  /** SHA-256 of the RGBA bytes of rows 0 to 31, 32 to 63 and so on. */
  readonly rows: readonly string[];
}

/** The hashes of an image. */
export async function hashPixels(
  { width, height, data }: Image,
): Promise<PixelHashes> {
  const rows: string[] = [];
  for (let y = 0; y < height; y += ROWS) {
    // A copy, as digest needs the bytes in a buffer that is not shared.
    const bytes = Uint8Array.from(
      data.subarray(y * width * 4, (y + ROWS) * width * 4),
    );
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    rows.push(hash.toHex());
  }
  return { width, height, rows };
}

/** All hashes, by the image's path in `tests/goldens` without its extension. */
export const PIXELS: Readonly<Record<string, PixelHashes>> = JSON.parse(
  await Deno.readTextFile(repositoryPath("tests/goldens/pixels.json")),
);

/** Throws where an image is not the golden of that name in every byte. */
export async function assertPixels(image: Image, name: string): Promise<void> {
  const expected = PIXELS[name];
  if (!expected) throw new Error(`tests/goldens/pixels.json has no ${name}`);
  const found = await hashPixels(image);
  const size = ({ width, height }: PixelHashes) => `${width} × ${height}`;
  if (size(found) !== size(expected)) {
    throw new Error(`${name} is ${size(found)}, expected ${size(expected)}`);
  }
  const wrong = expected.rows.flatMap((hash, i) =>
    hash === found.rows[i] ? [] : [`${i * ROWS}..${i * ROWS + ROWS - 1}`]
  );
  if (wrong.length > 0) {
    throw new Error(`${name} differs in rows ${wrong.join(", ")}`);
  }
}
