/**
 * Reference photos: read, decoded, and known again by their bytes.
 *
 * @module
 */
import { readFile } from "../files.ts";
import { decodeImage } from "../codecs/codec.ts";
import type { Image } from "../../image/image.ts";

/** A reference photo. */
export interface Photo {
  /** Its pixels. */
  readonly image: Image;
  /** Hexadecimal SHA-256 of its file. */
  readonly hash: string;
}

/**
 * Reads photos.
 *
 * @throws {MasterWeaverError} `cannot-read`, `bad-image`
 */
export async function readPhotos(paths: readonly string[]): Promise<Photo[]> {
  const photos: Photo[] = [];
  for (const path of paths) {
    const bytes = await readFile(path);
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    const hash = new Uint8Array(digest).toHex();
    photos.push({ image: await decodeImage(bytes, path), hash });
  }
  return photos;
}

/**
 * What is not as the image to repeat had it.
 *
 * @param were hashes of its photos; nothing where it does not say
 * @param are hashes of these
 */
export function referenceWarnings(
  were: readonly string[] | undefined,
  are: readonly string[],
): string[] {
  if (were === undefined || were.join() === are.join()) return [];
  if (were.length !== are.length) {
    return [
      `The image will differ: it was made from ${were.length} reference photos, got ${are.length}`,
    ];
  }
  const others = are.flatMap((hash, i) => hash === were[i] ? [] : [i + 1]);
  return [
    `The image will differ: reference ${
      others.join(" and ")
    } is another file than it was made from (SHA-256 ${
      others.map((n) => are[n - 1].slice(0, 10)).join(", ")
    }, was ${others.map((n) => were[n - 1].slice(0, 10)).join(", ")})`,
  ];
}
