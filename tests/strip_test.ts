/**
 * README's strip of images is what `weights/mini` makes.
 */
import { assert, assertEquals } from "@std/assert";
import { readImage } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import { GAP, generateStrip, sideBySide, STRIP } from "../tools/strip.ts";
import { psnr } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";

const path = repositoryPath("weights/mini/strip.png");
const SIDE = 128;

/** The image at a place of the strip. */
function part({ width, data }: Image, place: number): Uint8ClampedArray {
  const out = new Uint8ClampedArray(SIDE * SIDE * 4);
  const left = place * (SIDE + GAP);
  for (let y = 0; y < SIDE; y++) {
    const start = (y * width + left) * 4;
    out.set(data.subarray(start, start + SIDE * 4), y * SIDE * 4);
  }
  return out;
}

Deno.test("strip: the demo's portrait and four images, in at most 150 KB, shown in README", async () => {
  const strip = await readImage(path);
  assertEquals(STRIP.length, 4);
  assertEquals([strip.width, strip.height], [5 * SIDE + 4 * GAP, SIDE]);
  const demo = await readImage(repositoryPath("weights/mini/demo.png"));
  assertEquals(part(strip, 0), demo.data);
  assert((await Deno.stat(path)).size <= 150_000);
  const readme = await Deno.readTextFile(repositoryPath("README.md"));
  assert(readme.includes("(weights/mini/strip.png)"));
  for (const { prompt, seed } of STRIP) {
    const words = prompt.replace(/^a photo of /, "");
    assert(readme.includes(`${words} (${seed})`), `README has no ${words}`);
  }
});

Deno.test("strip: images stand beside each other, white between", () => {
  const flat = (value: number) => ({
    width: 2,
    height: 1,
    data: new Uint8ClampedArray(8).fill(value),
  });
  const { width, height, data } = sideBySide([flat(1), flat(2)], 1);
  assertEquals([width, height], [5, 1]);
  const reds = Array.from({ length: width }, (_, x) => data[4 * x]);
  assertEquals(reds, [1, 1, 255, 2, 2]);
});

gpuTest("strip: an image of it is made again", async () => {
  const strip = await readImage(path);
  const last = STRIP.length - 1;
  const [image] = await generateStrip(await miniWeaver("f32"), [last]);
  const quality = psnr(image.data, part(strip, last + 1));
  assert(quality >= 50, `PSNR ${quality.toFixed(1)} dB`);
});
