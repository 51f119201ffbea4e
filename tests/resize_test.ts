import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { decodeImage } from "../src/host/codecs/codec.ts";
import type { Image } from "../src/image/image.ts";
import {
  type ResizeFilter,
  resizeImage,
  resizeRegion,
} from "../src/image/resize.ts";
import { assertPixels, PIXELS } from "./support/pixels.ts";
import { randomIntegers } from "./support/odd_images.ts";

const folder = new URL("goldens/resize/", import.meta.url);

async function golden(name: string): Promise<Image> {
  return decodeImage(await Deno.readFile(new URL(name, folder)), name);
}

const input = await golden("input_131x117.png");
const filters: ResizeFilter[] = ["nearest", "bilinear", "bicubic", "lanczos"];

/** The input as a golden's name asks: `bicubic_64x33`. */
function resized(name: string): Promise<Image> {
  const [, filter, width, height] = name.match(/(\w+)_(\d+)x(\d+)$/)!;
  return resizeImage(
    input,
    Number(width),
    Number(height),
    filter as ResizeFilter,
  );
}

Deno.test("resize: every golden is Pillow's to the byte", async () => {
  let compared = 0;
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith("input")) continue;
    const ours = await resized(name.replace(".png", ""));
    const theirs = await golden(name);
    assertEquals([ours.width, ours.height], [theirs.width, theirs.height]);
    const differing = ours.data.findIndex((x, i) => x !== theirs.data[i]);
    assertEquals(differing, -1, `${name} differs at byte ${differing}`);
    compared++;
  }
  for (const name of Object.keys(PIXELS)) {
    if (!name.startsWith("resize/")) continue;
    await assertPixels(await resized(name.replace("resize/", "")), name);
    compared++;
  }
  assertEquals(compared, 20);
});

Deno.test("resize: colours are weighted by alpha, as in Pillow", async () => {
  // Image.frombytes("RGBA", (3, 2), …).resize((5, 3), …) of Pillow 13.
  const image = {
    width: 3,
    height: 2,
    // deno-fmt-ignore
    data: Uint8ClampedArray.of(
      255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 0,
      10, 20, 30, 40, 200, 100, 50, 250, 255, 255, 255, 1,
    ),
  };
  const pillow: Record<string, number[]> = {
    // deno-fmt-ignore
    nearest: [
      255, 0, 0, 255, 255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 0, 0, 0, 255, 0,
      10, 20, 30, 40, 10, 20, 30, 40, 200, 100, 50, 250, 255, 255, 255, 1, 255, 255, 255, 1,
      10, 20, 30, 40, 10, 20, 30, 40, 200, 100, 50, 250, 255, 255, 255, 1, 255, 255, 255, 1,
    ],
    // deno-fmt-ignore
    bilinear: [
      255, 0, 0, 255, 191, 63, 0, 204, 0, 255, 0, 128, 0, 255, 0, 51, 0, 0, 0, 0,
      222, 3, 5, 148, 181, 71, 18, 164, 132, 152, 33, 189, 134, 154, 33, 76, 255, 255, 255, 1,
      12, 19, 31, 40, 164, 84, 47, 124, 199, 99, 49, 250, 199, 100, 50, 101, 255, 255, 255, 1,
    ],
    // deno-fmt-ignore
    bicubic: [
      255, 0, 0, 255, 197, 59, 0, 222, 0, 255, 0, 120, 0, 255, 0, 35, 0, 0, 0, 0,
      233, 0, 1, 140, 183, 68, 17, 171, 132, 152, 33, 189, 144, 166, 36, 69, 0, 0, 0, 0,
      0, 0, 56, 9, 156, 85, 53, 119, 209, 96, 52, 255, 207, 95, 52, 102, 0, 0, 0, 0,
    ],
    // deno-fmt-ignore
    lanczos: [
      255, 0, 0, 255, 195, 60, 0, 237, 0, 255, 0, 113, 0, 255, 0, 20, 9, 0, 0, 0,
      247, 0, 0, 132, 181, 70, 16, 181, 132, 152, 33, 189, 163, 186, 41, 67, 4, 0, 0, 0,
      0, 0, 0, 0, 154, 88, 55, 124, 220, 94, 55, 255, 216, 94, 54, 113, 0, 0, 0, 0,
    ],
  };
  for (const [filter, bytes] of Object.entries(pillow)) {
    const ours = await resizeImage(image, 5, 3, filter as ResizeFilter);
    assertEquals(Array.from(ours.data), bytes, filter);
  }
});

Deno.test("resize: the same size is a copy, not the same memory", async () => {
  for (const filter of filters) {
    const copy = await resizeImage(input, input.width, input.height, filter);
    assertEquals(copy.data, input.data);
    assert(copy.data.buffer !== input.data.buffer);
  }
});

Deno.test("resize: a region equals the same region of the whole", async () => {
  const random = randomIntegers(1);
  for (const filter of filters) {
    for (const [width, height] of [[60, 200], [131, 117], [300, 20]]) {
      const whole = await resizeImage(input, width, height, filter);
      const left = random(width - 8);
      const top = random(height - 8);
      const part = await resizeRegion(input, width, height, filter, {
        left,
        top,
        width: 8,
        height: 7,
      });
      assertEquals([part.width, part.height], [8, 7]);
      for (let y = 0; y < 7; y++) {
        const start = ((top + y) * width + left) * 4;
        assertEquals(
          part.data.slice(y * 32, y * 32 + 32),
          whole.data.slice(start, start + 32),
        );
      }
    }
  }
});

Deno.test("resize: one colour stays that colour at every scale", async () => {
  const data = new Uint8ClampedArray(19 * 23 * 4);
  for (let i = 0; i < data.length; i += 4) data.set([255, 1, 77, 255], i);
  for (const filter of filters) {
    for (const [width, height] of [[1, 1], [7, 100], [640, 3]]) {
      const { data: out } = await resizeImage(
        { width: 19, height: 23, data },
        width,
        height,
        filter,
      );
      for (let i = 0; i < out.length; i += 4) {
        assertEquals(Array.from(out.slice(i, i + 4)), [255, 1, 77, 255]);
      }
    }
  }
});

Deno.test("resize: sizes and regions out of range are refused with the numbers", async () => {
  for (const [width, height] of [[0, 5], [5, -1], [1.5, 5], [5, 20000]]) {
    const error = await assertRejects(
      () => resizeImage(input, width, height, "bicubic"),
      MasterWeaverError,
      "1..16384",
    );
    assertEquals(error.code, "bad-option");
  }
  const region = { left: 6, top: 0, width: 5, height: 5 };
  await assertRejects(
    () => resizeRegion(input, 10, 10, "nearest", region),
    MasterWeaverError,
    "5 from 6 of 10",
  );
});
