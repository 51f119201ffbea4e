/** A small training data set, drawn by code. */
import { encodeJpeg } from "../../src/host/codecs/codec.ts";
import { joinBytes } from "../../src/host/codecs/bytes.ts";
import { pngChunk } from "../../src/host/codecs/png_chunks.ts";
import { PNG_SIGNATURE } from "../../src/image/signature.ts";
import type { Image } from "../../src/image/image.ts";
import * as layout from "../../src/train/data/layout.ts";
import { RandomStream } from "../../src/train/data/random.ts";

/** How a data set is drawn. */
export interface DrawnDataset {
  /** How many ids. */
  readonly count: number;
  /** Width and height of images. */
  readonly size?: readonly [number, number];
  /** Sides of faces and masks. */
  readonly faceSide?: number;
}

/** The id at a place. */
export function drawnId(index: number): string {
  return `${index}`.padStart(6, "0") + "_0";
}

/** Draws a data set into a folder: one face and two other appearances an id. */
export async function drawDataset(
  root: string,
  { count, size = [72, 64], faceSide = 48 }: DrawnDataset,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const id = drawnId(i);
    const stream = new RandomStream(i, "drawn");
    const face = () => encodeJpeg(drawn(stream, faceSide, faceSide), "");
    const write = (path: string, bytes: Uint8Array) =>
      writeFile(`${root}/${path}`, bytes);
    await write(
      layout.imagePath(id),
      encodeJpeg(drawn(stream, size[0], size[1]), ""),
    );
    await write(layout.facePath(id, "0"), face());
    await write(
      layout.maskPath(id, "0"),
      await grayPng(faceSide, faceSide, (x, y) => (x + 3 * y) % 19),
    );
    await write(layout.landmarksPath(id, "0"), landmarksFile(size));
    for (const file of ["0.jpg", "1.jpg"]) {
      await write(`${layout.augmentedFolder(id, "0")}/${file}`, face());
    }
    const caption = `a photo of person ${i}\nsecond line\n`;
    await write(layout.captionPath(id), new TextEncoder().encode(caption));
  }
}

/** Writes a file, and the folders it lies in. */
export async function writeFile(
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeFile(path, bytes);
}

/** A circle on a gradient with some noise. */
function drawn(stream: RandomStream, width: number, height: number): Image {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  const base = [stream.integer(200), stream.integer(200), stream.integer(200)];
  const radius = Math.min(width, height) * stream.between(0.2, 0.45);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const inside = Math.hypot(x - width / 2, y - height / 2) < radius;
      const noise = stream.word() % 16;
      for (let c = 0; c < 3; c++) {
        data[at + c] = base[c] + (inside ? 50 : -30) + noise + (x + y) % 40;
      }
    }
  }
  return { width, height, data };
}

/** Landmarks on a circle in the image's middle, as `numpy.save` writes `<f4`. */
function landmarksFile([width, height]: readonly [number, number]): Uint8Array {
  const points = Array.from({ length: 68 }, (_, i) => {
    const angle = i / 68 * 2 * Math.PI;
    return [
      width / 2 + 0.2 * width * Math.cos(angle),
      height / 2 + 0.2 * height * Math.sin(angle),
    ];
  });
  return npyFile("<f4", [68, 2], new Float32Array(points.flat()));
}

/** A `.npy` file of version 1. */
export function npyFile(
  descr: string,
  shape: readonly number[],
  values: Float32Array | Float64Array,
): Uint8Array {
  const text =
    `{'descr': '${descr}', 'fortran_order': False, 'shape': (${
      shape.join(", ")
    }), }`.padEnd(117) + "\n";
  const header = new TextEncoder().encode(text);
  return joinBytes([
    Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0),
    header,
    new Uint8Array(values.buffer),
  ]);
}

/** A gray PNG of 8 bits. */
export function grayPng(
  width: number,
  height: number,
  value: (x: number, y: number) => number,
): Promise<Uint8Array> {
  return onePng(width, height, 0, value, []);
}

/** A PNG with a palette of given colours, 8 bits an index. */
export function palettePng(
  width: number,
  height: number,
  index: (x: number, y: number) => number,
  palette: Uint8Array,
): Promise<Uint8Array> {
  return onePng(width, height, 3, index, [pngChunk("PLTE", palette)]);
}

async function onePng(
  width: number,
  height: number,
  colorType: number,
  value: (x: number, y: number) => number,
  chunks: Uint8Array[],
): Promise<Uint8Array> {
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rows[y * (width + 1) + 1 + x] = value(x, y);
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, colorType], 8);
  const coded = new Blob([rows]).stream()
    .pipeThrough(new CompressionStream("deflate"));
  return joinBytes([
    new Uint8Array(PNG_SIGNATURE),
    pngChunk("IHDR", header),
    ...chunks,
    pngChunk("IDAT", new Uint8Array(await new Response(coded).arrayBuffer())),
    pngChunk("IEND", new Uint8Array()),
  ]);
}
