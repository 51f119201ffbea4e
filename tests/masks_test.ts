/** Masks, blurs and what is put over an image: equal to Pillow's and diffusers' in every byte. */
import { assertEquals } from "@std/assert";
import { Pauser } from "../src/base/pauser.ts";
import { sha256 } from "../src/base/sha256.ts";
import { readImage } from "../src/host/files.ts";
import {
  fillFromAround,
  inverted,
  type Mask,
  overlay,
} from "../src/image/composite.ts";
import { flipImage } from "../src/image/flip.ts";
import { gaussianBlur } from "../src/image/gaussian_blur.ts";
import type { Image } from "../src/image/image.ts";
import { asImage, binary, greyOf, maskedRegion } from "../src/image/masks.ts";
import { resizeAndCrop, resizeAndFill } from "../src/image/resize_whole.ts";
import { repositoryPath } from "./support/paths.ts";

/** What `tools/reference/masks.py` writes. */
interface Goldens {
  readonly blur: Readonly<Record<string, string>>;
  readonly filled: string;
  readonly overlay: string;
  readonly sizes: readonly {
    readonly size: readonly [number, number];
    readonly fill: string;
    readonly crop: string;
    readonly regions: readonly (readonly number[])[];
  }[];
}

const folder = repositoryPath("tests/goldens");
const goldens: Goldens = JSON.parse(
  await Deno.readTextFile(`${folder}/masks.json`),
);
const PADDINGS = [0, 5, 40];
const image = await readImage(`${folder}/resize/input_131x117.png`);
const pauser = new Pauser();

async function digest({ data }: Image): Promise<string> {
  return await sha256(new Uint8Array(data));
}

/** A blurred rectangle. */
async function softMask(): Promise<Mask> {
  const { width, height } = image;
  const data = new Uint8ClampedArray(width * height);
  for (let y = 40; y < 80; y++) {
    data.fill(255, y * width + 30, y * width + 90);
  }
  return await gaussianBlur({ width, height, data }, 3, pauser);
}

Deno.test("masks: blurs of every radius are Pillow's", async () => {
  for (const [radius, expected] of Object.entries(goldens.blur)) {
    const blurred = await gaussianBlur(image, Number(radius), pauser);
    assertEquals(await digest(blurred), expected, radius);
  }
  assertEquals(await gaussianBlur(image, 0, pauser), image);
});

Deno.test("masks: a hole is filled as AUTOMATIC1111 does", async () => {
  const filled = await fillFromAround(image, await softMask(), pauser);
  assertEquals(await digest(filled), goldens.filled);
});

Deno.test("masks: the original is put over an image as diffusers does", async () => {
  const kept = inverted(await softMask());
  const mirrored = await overlay(flipImage(image), image, kept, pauser);
  assertEquals(await digest(mirrored), goldens.overlay);
});

Deno.test("masks: regions and sizes of other shapes are diffusers'", async () => {
  const mask = await softMask();
  for (const { size: [width, height], fill, crop, regions } of goldens.sizes) {
    const size = { width, height };
    assertEquals(await digest(await resizeAndFill(image, size, pauser)), fill);
    assertEquals(await digest(await resizeAndCrop(image, size, pauser)), crop);
    for (const [i, padding] of PADDINGS.entries()) {
      const { left, top, ...rest } = maskedRegion(mask, size, padding);
      const corners = [left, top, left + rest.width, top + rest.height];
      assertEquals(corners, regions[i]);
    }
  }
});

Deno.test("masks: of a line that is made far smaller one pixel is left", async () => {
  const line = (length: number) => ({
    width: length,
    height: 1,
    data: new Uint8ClampedArray(4 * length).fill(255),
  });
  const size = { width: 12, height: 8 };
  const filled = await resizeAndFill(line(600), size, pauser);
  assertEquals([filled.width, filled.height], [12, 8]);
  const cut = await resizeAndCrop(line(12), { width: 1, height: 600 }, pauser);
  assertEquals([cut.width, cut.height], [1, 600]);
});

Deno.test("masks: greys are Pillow's, and half white counts as white", () => {
  const data = Uint8ClampedArray.of(255, 0, 0, 255, 128, 128, 128, 255);
  const grey = greyOf({ width: 2, height: 1, data });
  assertEquals([...grey.data], [76, 128]);
  assertEquals([...binary(grey).data], [0, 255]);
  assertEquals([...asImage(grey).data.subarray(0, 4)], [76, 76, 76, 255]);
});
