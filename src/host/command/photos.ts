/**
 * Reference photos: read, decoded, and hashed so that they can be recognised.
 *
 * @module
 */
import { sha256 } from "../../base/sha256.ts";
import { readFile } from "../files.ts";
import { decodeImage } from "../codecs/codec.ts";
import type { Image } from "../../image/image.ts";
import { printable } from "../../weights/brief.ts";

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
    const image = await decodeImage(bytes, path);
    photos.push({ image, hash: await sha256(bytes) });
  }
  return photos;
}

/**
 * Says how the photos differ from those of the image to repeat.
 *
 * @param before hashes of its photos; undefined where it does not say
 * @param now hashes of these photos
 */
export function referenceWarnings(
  before: readonly string[] | undefined,
  now: readonly string[],
): string[] {
  if (before === undefined || before.join() === now.join()) return [];
  if (now.length === 0) {
    const [photos, them] = before.length === 1
      ? ["1 reference photo", "it"]
      : [`${before.length} reference photos`, "them"];
    return [
      `The image will differ: it was made from ${photos}, which no image holds; give ${them} with --ref FILE`,
    ];
  }
  if (before.length !== now.length) {
    return [
      `The image will differ: it was made from ${before.length} reference photos, got ${now.length}`,
    ];
  }
  const others = now.flatMap((hash, i) => hash === before[i] ? [] : [i + 1]);
  return [
    `The image will differ: reference ${
      others.join(" and ")
    } is another file than it was made from (SHA-256 ${
      others.map((n) => now[n - 1].slice(0, 10)).join(", ")
    }, was ${
      others.map((n) => printable(before[n - 1].slice(0, 10))).join(", ")
    })`,
  ];
}
