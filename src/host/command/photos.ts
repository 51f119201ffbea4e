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

/** The file of a setting of one image; nothing where none is given. */
export async function readOptionalPhoto(
  path: string | undefined,
): Promise<Photo | undefined> {
  return path === undefined ? undefined : (await readPhotos([path]))[0];
}

/** What an image to repeat says about an image that it started from. */
export interface RecordedFile {
  /** What messages call it. */
  readonly what: string;
  /** How it is given. */
  readonly flag: string;
  /** The file's name, where the image to repeat started from one. */
  readonly name?: string;
  /** Its SHA-256. */
  readonly hash?: string;
}

/**
 * Says how the image to start from, or its mask, differs from that of the image to
 * repeat.
 *
 * @param now the hash of the file that is given
 */
export function fileWarnings(
  { what, flag, name, hash }: RecordedFile,
  now: string | undefined,
): string[] {
  if (name === undefined && hash === undefined) return [];
  const before = [
    ...name === undefined ? [] : [printable(name.slice(0, 100))],
    ...hash === undefined ? [] : [`SHA-256 ${printable(hash.slice(0, 10))}`],
  ].join(", ");
  if (now === undefined) {
    return [
      `The image will differ: it was made from the ${what} ${before}, which no image holds; give it with ${flag} FILE`,
    ];
  }
  return hash === undefined || hash === now ? [] : [
    `The image will differ: the ${what} is another file than it was made from (SHA-256 ${
      now.slice(0, 10)
    }, was ${before})`,
  ];
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
