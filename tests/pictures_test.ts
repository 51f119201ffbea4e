/**
 * Whole images against PyTorch's, from the same noise: f32 PSNR ≥ 50 dB and
 * no channel off by more than 3/255, f16 PSNR ≥ 35 dB.
 */
import { assert, assertEquals } from "@std/assert";
import type { StorageType } from "../src/gpu/limits.ts";
import { readImage } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import type { Settings } from "../src/options/options.ts";
import { largestDifference, psnr } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { assertPixels } from "./support/pixels.ts";

interface Case extends Partial<Settings> {
  readonly name: string;
  readonly refs: readonly string[];
  readonly prompt: string;
}

const folder = repositoryPath("tests/goldens");
const cases: readonly Case[] = JSON.parse(
  await Deno.readTextFile(`${folder}/pictures/cases.json`),
);
/** Without an identity: made by diffusers' StableDiffusionPipeline. */
const plainCases: readonly Omit<Case, "refs">[] = JSON.parse(
  await Deno.readTextFile(`${folder}/pictures/plain.json`),
);

for (const dtype of ["f32", "f16"] as const) {
  for (const { name, refs, prompt, ...settings } of cases) {
    gpuTest(`picture ${name}, ${dtype}: equals PyTorch's`, async () => {
      const weaver = await miniWeaver(dtype);
      const photos = await Promise.all(
        refs.map((ref) => readImage(`${folder}/portraits/${ref}`)),
      );
      const identity = await weaver.encodeIdentity(photos, { align: false });
      for (const [i, reference] of identity.references.entries()) {
        // The masked face is 8-bit arithmetic and must be exact.
        await assertPixels(reference, `pictures/${name}.reference-${i}`);
      }
      const { images } = await weaver.generate({
        prompt,
        identity,
        rng: "torch-cpu",
        ...settings,
      });
      assertEquals(images.length, settings.numImages ?? 1);
      for (const [i, image] of images.entries()) {
        const suffix = images.length > 1 ? `-${i}` : "";
        await assertPicture(image, `${name}${suffix}`, dtype);
      }
    });
  }
  for (const { name, ...settings } of plainCases) {
    gpuTest(`picture ${name}, ${dtype}: equals diffusers'`, async () => {
      const weaver = await miniWeaver(dtype);
      const { images } = await weaver.generate({
        rng: "torch-cpu",
        ...settings,
      });
      assertEquals(images.length, settings.numImages);
      for (const [i, image] of images.entries()) {
        await assertPicture(image, `${name}-${i}`, dtype);
      }
    });
  }
}

/** Requires that an image is the golden's, within the limits of a storage type. */
async function assertPicture(
  image: Image,
  name: string,
  dtype: StorageType,
): Promise<void> {
  const expected = await readImage(`${folder}/pictures/${name}.png`);
  assertEquals([image.width, image.height], [expected.width, expected.height]);
  const quality = psnr(image.data, expected.data);
  assert(
    quality >= (dtype === "f32" ? 50 : 35),
    `PSNR ${quality.toFixed(1)} dB`,
  );
  const worst = largestDifference(image.data, expected.data);
  if (dtype === "f32") assert(worst <= 3, `off by ${worst}/255`);
}

gpuTest(
  "generate: a denoising loop allocates nothing and reads nothing back",
  async () => {
    const weaver = await miniWeaver("f32");
    const photo = await readImage(`${folder}/portraits/portrait-1.png`);
    const identity = await weaver.encodeIdentity([photo], { align: false });
    const once = {
      identity,
      prompt: "a woman",
      steps: 1,
      width: 64,
      height: 64,
    };
    await weaver.generate(once);
    const { buffers, pipelines } = weaver.gpu;
    const before = [buffers.count, buffers.bytes, pipelines.count];
    let steps = 0;
    const during: number[][] = [];
    await weaver.generate({
      ...once,
      steps: 6,
      onProgress: ({ stage, done }) => {
        if (stage !== "denoise" || done === 0) return;
        steps = done;
        during.push([buffers.count, buffers.bytes, pipelines.count]);
      },
    });
    assertEquals(steps, 6);
    for (const now of during) assertEquals(now, before);
    assertEquals([buffers.count, buffers.bytes, pipelines.count], before);
  },
);

gpuTest(
  "generate: the same seed gives the same picture, another a different one",
  async () => {
    const weaver = await miniWeaver("f32");
    const photo = await readImage(`${folder}/portraits/portrait-2.png`);
    const identity = await weaver.encodeIdentity([photo], { align: false });
    const paint = async (seed: number) =>
      (await weaver.generate({
        identity,
        prompt: "a man",
        steps: 3,
        seed,
        width: 64,
        height: 64,
      })).images[0].data;
    const first = await paint(1);
    assertEquals(await paint(1), first);
    assert(psnr(await paint(2), first) < 40);
  },
);
