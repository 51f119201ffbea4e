/**
 * The photos of `tests/goldens/face`. Of the PNG files only two are kept: Pillow
 * made the others from one of them (`tools/reference/face_photos.py`), and so do
 * these functions. Hashes in `pixels.json` show that every byte is Pillow's.
 *
 * @module
 */
import { encodePng } from "../../src/host/codecs/codec.ts";
import { readImage } from "../../src/host/files.ts";
import { flipImage } from "../../src/image/flip.ts";
import type { Image } from "../../src/image/image.ts";
import { resizeImage, resizeRegion } from "../../src/image/resize.ts";
import { repositoryPath } from "./paths.ts";
import { assertPixels } from "./pixels.ts";
import { rotateBicubic } from "./rotate_bicubic.ts";

/** How the astronaut's photo becomes another one. */
const made: Readonly<
  Record<string, (photo: Image) => Image | Promise<Image>>
> = {
  astronaut_small: (photo) => resizeImage(photo, 301, 297, "bicubic"),
  astronaut_crop: (photo) => crop(photo, 120, 20, 220, 230),
  astronaut_face: (photo) => crop(photo, 170, 60, 115, 130),
  astronaut_mirror_rot8: (photo) => rotateBicubic(flipImage(photo), 8),
  two_faces: twoFaces,
};

/** A photo by its name without `.png`. */
export async function facePhoto(name: string): Promise<Image> {
  if (!(name in made)) return await readImage(facePath(`${name}.png`));
  const photo = await made[name](await facePhoto("astronaut"));
  await assertPixels(photo, `face/${name}`);
  return photo;
}

/** A photo as a PNG file, for what reads files. */
export async function facePng(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return encodePng(await facePhoto(name), {});
}

/** Path of a file that is kept beside the photos. */
export function facePath(name: string): string {
  return repositoryPath(`tests/goldens/face/${name}`);
}

/** The astronaut, and smaller her mirror image, on a plain ground. */
async function twoFaces(photo: Image): Promise<Image> {
  const canvas: Image = {
    width: 640,
    height: 330,
    data: new Uint8ClampedArray(640 * 330 * 4),
  };
  for (let at = 0; at < canvas.data.length; at += 4) {
    canvas.data.set([90, 120, 140, 255], at);
  }
  paste(canvas, await crop(photo, 100, 0, 300, 300), 10, 10);
  const mirrored = flipImage(await crop(photo, 120, 20, 220, 230));
  paste(canvas, mirrored, 350, 60);
  return canvas;
}

function crop(
  image: Image,
  left: number,
  top: number,
  width: number,
  height: number,
): Promise<Image> {
  const region = { left, top, width, height };
  return resizeRegion(image, image.width, image.height, "bicubic", region);
}

function paste(canvas: Image, image: Image, left: number, top: number): void {
  for (let y = 0; y < image.height; y++) {
    const row = image.data.subarray(
      y * image.width * 4,
      (y + 1) * image.width * 4,
    );
    canvas.data.set(row, ((top + y) * canvas.width + left) * 4);
  }
}
