/**
 * Decodes the images and masks of a data set.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { decodeImage } from "../../../src/host/codecs/codec.ts";
import { fileKind } from "../../../src/host/codecs/file_kind.ts";
import { summarizeJpeg } from "../../../src/host/codecs/jpeg_segments.ts";
import {
  type PngChunk,
  pngChunk,
  pngChunks,
} from "../../../src/host/codecs/png_chunks.ts";
import {
  decodePng,
  readPngHeader,
} from "../../../src/host/codecs/png_decode.ts";
import type { Image } from "../../../src/image/image.ts";
import type { DatasetFiles } from "../../../src/train/data/layout.ts";
import { CLASS_COUNT, type ClassMap } from "../../../src/train/data/masks.ts";
import type { SampleReader } from "../../../src/train/data/training_sample.ts";

/** How a data set is read on this machine. */
export function sampleReader(
  files: DatasetFiles,
  cached?: SampleReader["cached"],
): SampleReader {
  return {
    files,
    decodeImage: decodeAsStored,
    decodeClasses,
    imageSize,
    cached,
  };
}

/** Decodes an image as its pixels are stored. */
function decodeAsStored(file: Uint8Array, name: string): Image {
  return decodeImage(file, name, false);
}

/** PNG's colour types with one number a pixel. */
const GRAY = 0, PALETTE = 3;
/** A palette whose colours are their indices. */
const INDICES = pngChunk(
  "PLTE",
  Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)),
);

/**
 * Decodes a PNG of classes.
 *
 * @throws {MasterWeaverError} `bad-data` for what is not one
 */
export function decodeClasses(file: Uint8Array, name: string): ClassMap {
  const fail = (what: string, cause?: unknown): never => {
    throw new MasterWeaverError("bad-data", `Mask ${name} ${what}`, { cause });
  };
  const kind = fileKind(file);
  if (kind !== "png") fail("is not a PNG file");
  const chunks = [...pngChunks(file)];
  if (chunks.at(-1)?.type !== "IEND") fail("is cut off: its end is missing");
  const header = refused(() => readPngHeader(chunks[0]), fail);
  const { width, height, colorType } = header;
  if (colorType !== GRAY && colorType !== PALETTE) {
    fail("has colours, expected one number a pixel: gray or a palette");
  }
  if (!(width > 0 && height > 0 && width * height <= MAX_PIXELS)) {
    fail(`is ${width} × ${height}, expected 1..${MAX_PIXELS} pixels`);
  }
  const rgba = refused(() => decodePng(header, chunks.map(asIndices)), fail);
  const classes = new Uint8Array(width * height);
  for (let i = 0; i < classes.length; i++) classes[i] = rgba[4 * i];
  const wrong = classes.find((index) => index >= CLASS_COUNT);
  if (wrong !== undefined) {
    fail(`has the class ${wrong}, expected 0..${CLASS_COUNT - 1}`);
  }
  return { width, height, classes };
}

/** Far more than a face has. */
const MAX_PIXELS = 2 ** 26;

function refused<T>(
  decode: () => T,
  fail: (what: string, cause: unknown) => never,
): T {
  try {
    return decode();
  } catch (error) {
    return fail(`is damaged (${(error as Error).message})`, error);
  }
}

/** A palette's colours replaced by their indices, which are the classes. */
function asIndices(chunk: PngChunk): PngChunk {
  if (chunk.type !== "PLTE") return chunk;
  return { type: "PLTE", data: INDICES.subarray(8, -4), bytes: INDICES };
}

/**
 * Width and height of an image, from its header.
 *
 * @throws {MasterWeaverError} `bad-data` where there is none
 */
export function imageSize(
  file: Uint8Array,
  name: string,
): { width: number; height: number } {
  const kind = fileKind(file);
  if (kind === "jpeg") {
    const { width, height } = summarizeJpeg(file);
    if (width > 0 && height > 0) return { width, height };
  }
  const [first] = kind === "png" ? pngChunks(file) : [];
  if (first?.type === "IHDR") return readPngHeader(first);
  throw new MasterWeaverError(
    "bad-data",
    `Image ${name} has no header with its size`,
  );
}
