/**
 * Starts from an image: whole images against diffusers', and what a mask keeps.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { MasterWeaver } from "../src/core.ts";
import { readImage } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import type { Settings } from "../src/options/options.ts";
import { largestDifference, psnr } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import { inpaintingWeaver } from "./support/inpainting_model.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";

interface Case {
  readonly name: string;
  readonly init: string;
  readonly mask?: {
    readonly size: "init" | readonly [number, number];
    readonly white: readonly [number, number, number, number];
  };
  readonly inpaintingUnet?: number;
  readonly settings: Partial<Settings> & { readonly prompt: string };
}

const goldens = repositoryPath("tests/goldens");
const cases: readonly Case[] = JSON.parse(
  await Deno.readTextFile(`${goldens}/pictures/from_image.json`),
);

/** An image that is black but for a white rectangle. */
function maskOf(
  [width, height]: readonly [number, number],
  [left, top, right, bottom]: readonly [number, number, number, number],
): Image {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < data.length; i++) {
    const x = (i >> 2) % width, y = Math.floor((i >> 2) / width);
    const isWhite = x >= left && x < right && y >= top && y < bottom;
    data[i] = i % 4 === 3 || isWhite ? 255 : 0;
  }
  return { width, height, data };
}

for (const { name, init, mask, inpaintingUnet, settings } of cases) {
  // One case shows that f16 works; the other cases run the same kernels.
  const dtypes = name === "inpaint"
    ? ["f32", "f16"] as const
    : ["f32"] as const;
  for (const dtype of dtypes) {
    gpuTest(`from image ${name}, ${dtype}: equals diffusers'`, async () => {
      const initImage = await readImage(`${goldens}/portraits/${init}`);
      const size = mask?.size === "init"
        ? [initImage.width, initImage.height] as const
        : mask?.size;
      await using own = inpaintingUnet === undefined
        ? null
        : await inpaintingWeaver(inpaintingUnet, dtype);
      const weaver: MasterWeaver = own ?? await miniWeaver(dtype);
      const { images } = await weaver.generate({
        rng: "torch-cpu",
        initImage,
        mask: mask && size && maskOf(size, mask.white),
        ...settings,
      });
      assertEquals(images.length, settings.numImages);
      for (const [i, image] of images.entries()) {
        const expected = await readImage(
          `${goldens}/pictures/${name}-${i}.png`,
        );
        assertEquals([image.width, image.height], [
          expected.width,
          expected.height,
        ]);
        const quality = psnr(image.data, expected.data);
        const least = dtype === "f32" ? 50 : 35;
        assert(quality >= least, `PSNR ${quality.toFixed(1)} dB`);
        const worst = largestDifference(image.data, expected.data);
        if (dtype === "f32") assert(worst <= 3, `off by ${worst}/255`);
      }
    });
  }
}

/** What all of the following are made with: shapes that the cases above have used. */
const quick = {
  prompt: "a man",
  steps: 2,
  strength: 1,
  guidanceScale: 1,
  width: 64,
  height: 48,
} as const;
const portrait = await readImage(`${goldens}/portraits/portrait-2.png`);

/** The pixels of two images that differ, by a test of their places. */
function differing(
  a: Image,
  b: Image,
  isThere: (x: number, y: number) => boolean,
): number {
  assertEquals([a.width, a.height], [b.width, b.height]);
  let count = 0;
  for (let i = 0; i < a.width * a.height; i++) {
    if (!isThere(i % a.width, Math.floor(i / a.width))) continue;
    const bytes = (image: Image) => image.data.subarray(4 * i, 4 * i + 4);
    if (bytes(a).join() !== bytes(b).join()) count++;
  }
  return count;
}

gpuTest("from image: pixels outside the mask are the original's", async () => {
  const weaver = await miniWeaver("f32");
  const { width, height } = portrait;
  const inside = (x: number, y: number) =>
    x >= 20 && x < 60 && y >= 30 && y < 70;
  const mask = maskOf([width, height], [20, 30, 60, 70]);
  const { images: [made] } = await weaver.generate({
    ...quick,
    initImage: portrait,
    mask,
    onlyMasked: true,
    maskPadding: 4,
    maskFill: "noise",
  });
  assertEquals(differing(made, portrait, (x, y) => !inside(x, y)), 0);
  assert(differing(made, portrait, inside) > 1000);

  const wide = {
    width: 64,
    height: 48,
    data: new Uint8ClampedArray(64 * 48 * 4),
  };
  wide.data.fill(200);
  for (let i = 3; i < wide.data.length; i += 4) wide.data[i] = 255;
  const warnings: string[] = [];
  const small = maskOf([32, 24], [8, 8, 16, 16]);
  const { images: [painted] } = await weaver.generate({
    ...quick,
    initImage: wide,
    mask: small,
    maskBlur: 2,
    maskFill: "blur",
    onWarning: (warning) => warnings.push(warning),
  });
  assertEquals(warnings, [
    "The mask is 32x24 pixels, the initial image 64x48: the mask is resized",
  ]);
  const isFar = (x: number, y: number) => x < 6 || x > 42 || y < 6 || y > 42;
  assertEquals(differing(painted, wide, isFar), 0);
});

gpuTest("from image: an image is extended at its sides", async () => {
  const weaver = await miniWeaver("f32");
  const initImage = {
    width: 40,
    height: 48,
    data: new Uint8ClampedArray(40 * 48 * 4).fill(255),
  };
  const { images: [made], settings } = await weaver.generate({
    prompt: "a man",
    steps: 2,
    strength: 1,
    guidanceScale: 1,
    initImage,
    outpaint: "left=16,right=8",
    maskFill: "nothing",
  });
  assertEquals([settings.width, settings.height], [64, 48]);
  assertEquals([made.width, made.height], [64, 48]);
  const white = {
    ...made,
    data: new Uint8ClampedArray(made.data.length).fill(255),
  };
  assertEquals(differing(made, white, (x) => x >= 16 && x < 56), 0);
  assert(differing(made, white, (x) => x < 16) > 500);
});

gpuTest(
  "from image: with an identity, cached features, limited guidance and previews",
  async () => {
    const weaver = await miniWeaver("f32");
    const identity = await weaver.encodeIdentity([portrait], { align: false });
    const steps: number[] = [];
    const make = async (initLatents: "sample" | "mean") =>
      (await weaver.generate({
        ...quick,
        identity,
        initImage: portrait,
        mask: maskOf([64, 48], [20, 9, 49, 30]),
        steps: 5,
        strength: 0.9,
        guidanceScale: 5,
        guidanceRange: [0, 0.5],
        reuseFeatures: 2,
        initLatents,
        previewInterval: 0,
        onPreview: ({ step, total }) => {
          assertEquals(total, 4);
          steps.push(step);
        },
      })).images[0].data;
    const sampled = await make("sample");
    assert(steps.length > 0 && steps.every((step) => step < 4), `${steps}`);
    assert(psnr(await make("mean"), sampled) < 60);
  },
);

gpuTest("from image: an inpainting UNet makes images without any", async () => {
  await using weaver = await inpaintingWeaver(7, "f32");
  const { strength, ...rest } = quick;
  const make = async (
    more: { readonly initImage?: Image; readonly strength?: number },
  ) => (await weaver.generate({ ...rest, ...more })).images[0].data;
  const plain = await make({});
  assert(plain.some((value) => value !== plain[0]));
  // At full strength all of an image without a mask is repainted.
  assertEquals(await make({ initImage: portrait, strength }), plain);
});

gpuTest(
  "from image: a mask that its blur leaves nothing of is told",
  async () => {
    const weaver = await miniWeaver("f32");
    const warnings: string[] = [];
    const mask = maskOf([portrait.width, portrait.height], [9, 9, 10, 10]);
    // A line around it, of which one pixel is left when it is made smaller.
    const wide = {
      width: 600,
      height: 16,
      data: new Uint8ClampedArray(4 * 600 * 16).fill(255),
    };
    const { images: [made] } = await weaver.generate({
      ...quick,
      initImage: wide,
      mask: maskOf([wide.width, wide.height], [0, 3, 600, 4]),
      maskPadding: 0,
      onlyMasked: true,
    });
    assertEquals([made.width, made.height], [600, 16]);
    await weaver.generate({
      ...quick,
      initImage: portrait,
      mask,
      maskBlur: 4,
      onlyMasked: true,
      onWarning: (warning) => warnings.push(warning),
    });
    assertEquals(warnings, [
      "Blurred by 4 pixels no part of the mask is half white, so nothing is repainted: give a smaller maskBlur, or paint a larger area",
    ]);
  },
);

gpuTest(
  "from image: a call that waits keeps the images it was given",
  async () => {
    const weaver = await miniWeaver("f32");
    const size = { width: 32, height: 32 };
    const grey = (value: number): Image => ({
      ...size,
      data: Uint8ClampedArray.from(
        { length: 4 * 32 * 32 },
        (_, i) => i % 4 === 3 ? 255 : value,
      ),
    });
    const request = { prompt: "a", steps: 2, strength: 0.5, ...size };
    const { images: [expected] } = await weaver.generate({
      ...request,
      initImage: grey(255),
      mask: grey(255),
    });
    const [initImage, mask] = [grey(255), grey(255)];
    const before = weaver.generate({ prompt: "a", steps: 1, ...size });
    const waiting = weaver.generate({ ...request, initImage, mask });
    for (const { data } of [initImage, mask]) data.set(grey(0).data);
    await before;
    assertEquals((await waiting).images, [expected]);
  },
);

gpuTest("from image: what cannot be is refused in one line", async () => {
  const weaver = await miniWeaver("f32");
  const mask = maskOf([64, 48], [0, 0, 0, 0]);
  const initImage = portrait;
  const wrong: [Partial<Parameters<MasterWeaver["generate"]>[0]>, RegExp][] = [
    [{ mask }, /^Option mask needs an initial image: give initImage, or/],
    [{ strength: 0.5 }, /^Option strength needs an initial image/],
    [{ initImage, maskBlur: 4 }, /^Option maskBlur needs a mask: give mask/],
    [
      { initImage, strength: 1.5 },
      /^Option strength must be a number in 0\.\.1/,
    ],
    [
      { initImage, strength: 0 },
      /^Option strength of 0 leaves none of 2 steps; give at least 0\.5/,
    ],
    [{ initImage, strength: 0.4 }, /leaves none of 2 steps/],
    [{ initImage, mask }, /^The mask is all black, expected white where/],
    [
      { initImage, mask: maskOf([128, 128], [3, 3, 4, 4]) },
      /^Nothing is left to repaint at 64x48 pixels, where no pixel is half white/,
    ],
    [
      {
        initImage: maskOf([2048, 16], [0, 0, 1, 1]),
        mask: maskOf([2048, 16], [9, 0, 15, 9]),
        onlyMasked: true,
        upscale: "lanczos",
        upscaleBy: 5,
      },
      /^Option upscaleBy must make images of at most 8192 pixels a side, got 5 for 2048x16/,
    ],
    [{ initImage, outpaint: "up=4" }, /^Option outpaint must be sides with/],
    [{ initImage, outpaint: "left=0" }, /^Option outpaint must be sides with/],
    [
      { initImage, mask, onlyMasked: true, maskPaste: false },
      /maskPaste must be true/,
    ],
    [
      { initImage: "a.png" as unknown as Image },
      /^Image initImage is the text/,
    ],
  ];
  const { strength: _, ...rest } = quick;
  for (const [given, message] of wrong) {
    const error = await assertRejects(
      () => weaver.generate({ ...rest, ...given }),
      MasterWeaverError,
    );
    assertMatch(error.message, message);
  }
});
