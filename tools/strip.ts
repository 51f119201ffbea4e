/**
 * Makes README's strip of images: the demo's portrait, and the same person by
 * four prompts.
 *
 *     deno run -A tools/strip.ts [FILE.png]
 *
 * @module
 */
import { checkWritable, readImage, writePng } from "../src/host/files.ts";
import { UsageError } from "../src/host/exit.ts";
import type { Image } from "../src/image/image.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { repositoryFile, toolMain } from "./tool.ts";

const USAGE = `Usage: deno run -A tools/strip.ts [FILE.png]

Makes the strip of images that README shows: the demo's portrait, and the same
person by four prompts.

  FILE.png    where to (weights/mini/strip.png)
  -h, --help  this text`;

/** What each image of the strip shows, after the reference. */
export const STRIP: readonly { prompt: string; seed: number }[] = [
  { prompt: "a photo of a woman with long blue hair", seed: 4 },
  { prompt: "a photo of a woman wearing sunglasses", seed: 5 },
  { prompt: "a photo of an angry woman", seed: 6 },
  { prompt: "a photo of a woman at the beach", seed: 2 },
];

/** White between two images, in pixels. */
export const GAP = 4;

/** Images of the strip, in f32: nearly the same on every adapter. */
export async function generateStrip(
  weaver: MasterWeaver,
  only: readonly number[] = STRIP.keys().toArray(),
): Promise<Image[]> {
  const photo = await readImage(repositoryFile("weights/mini/demo.png"));
  const identity = await weaver.encodeIdentity([photo]);
  const images: Image[] = [];
  for (const i of only) {
    const generated = await weaver.generate({ identity, ...STRIP[i] });
    images.push(generated.images[0]);
  }
  return images;
}

/** Images of one height beside each other. */
export function sideBySide(images: readonly Image[], gap: number): Image {
  const height = images[0].height;
  const width = images.reduce((sum, image) => sum + image.width + gap, -gap);
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  let left = 0;
  for (const image of images) {
    for (let y = 0; y < height; y++) {
      const row = image.data.subarray(
        y * image.width * 4,
        (y + 1) * image.width * 4,
      );
      data.set(row, (y * width + left) * 4);
    }
    left += image.width + gap;
  }
  return { width, height, data };
}

async function run(paths: readonly string[]): Promise<void> {
  if (paths.length > 1) {
    throw new UsageError(`Give one file, got ${paths.length}`);
  }
  const path = paths[0] ?? repositoryFile("weights/mini/strip.png");
  await checkWritable(path);
  await using weaver = await MasterWeaver.load(repositoryFile("weights/mini"), {
    dtype: "f32",
    tune: "off",
  });
  const photo = await readImage(repositoryFile("weights/mini/demo.png"));
  await writePng(
    path,
    sideBySide([photo, ...await generateStrip(weaver)], GAP),
  );
}

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: {},
  words: true,
  run: (_, words) => run(words),
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
