/**
 * Second passes and upscaling: what settings ask for together, where tiles lie, and
 * images that equal diffusers' (f32 PSNR ≥ 50 dB).
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { resizeLatents } from "../src/generate/hires.ts";
import { windows } from "../src/generate/upscale.ts";
import { readImage } from "../src/host/files.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import type { Preview } from "../src/generate/previews.ts";
import {
  finishedSize,
  hiresSettings,
  upscalerNames,
} from "../src/options/hires_settings.ts";
import { checkSettings, type Settings } from "../src/options/options.ts";
import { fromText, toText } from "../src/options/settings_text.ts";
import {
  fromParameters,
  toParameters,
} from "../src/options/parameters_text.ts";
import { largestDifference, psnr } from "./support/compare.ts";
import { drawn } from "./support/drawn_weights.ts";
import {
  convertFiles,
  SMALL_TAESD,
  taesdTensors,
  upscalerTensors,
} from "./support/extra_networks.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";

const rule = { own: 128, multiple: 4 };
const settingsOf = (given: Partial<Settings>) =>
  checkSettings({ prompt: "", width: 64, height: 48, ...given }, rule);

Deno.test("hires: sides come from the scale, or from one side or both", () => {
  const size = (given: Partial<Settings>) => {
    const hires = hiresSettings(settingsOf(given), rule)!;
    return [hires.width, hires.height];
  };
  assertEquals(size({ hiresScale: 1.55 }), [96, 72]);
  assertEquals(size({ hiresWidth: 128 }), [128, 96]);
  assertEquals(size({ hiresHeight: 72 }), [96, 72]);
  assertEquals(size({ hiresWidth: 80, hiresHeight: 80 }), [80, 80]);
  assertEquals(hiresSettings(settingsOf({}), rule), undefined);
  assertEquals(
    finishedSize(settingsOf({ hiresScale: 2, upscale: "lanczos" }), rule),
    { width: 256, height: 192 },
  );
  const { strength, steps, upscaler } = hiresSettings(
    settingsOf({ hiresScale: 2, hiresSteps: 0, steps: 9 }),
    rule,
  )!;
  assertEquals([strength, steps, upscaler], [0.7, 9, "latent"]);
});

Deno.test("hires: what contradicts itself is refused", () => {
  const message = (given: Partial<Settings>) => {
    const settings = settingsOf(given);
    const error = assertThrows(
      () => finishedSize(settings, rule),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-option");
    return error.message;
  };
  const cases: [Partial<Settings>, string][] = [
    [{ hiresStrength: 0.5 }, "Option hiresStrength needs a larger size"],
    [{ hiresScale: 2, hiresWidth: 96 }, "not both"],
    [{ hiresWidth: 32 }, "at least as large as the first"],
    [
      { width: 1024, hiresScale: 8 },
      "at most 4096 pixels a side, got a width of 8192",
    ],
    [{ hiresScale: 2, hiresStrength: 0 }, "must leave the second pass a step"],
    [{ upscaleBy: 2 }, "Option upscaleBy needs what upscales"],
    [{ upscale: "latent" }, "Option upscale must be lanczos or an upscaler's"],
  ];
  for (const [given, expected] of cases) {
    assert(message(given).includes(expected), message(given));
  }
});

Deno.test("hires: an image records it, by AUTOMATIC1111's names too", () => {
  const given = {
    hiresScale: 1.5,
    hiresUpscaler: "4x",
    hiresStrength: 0.5,
    hiresSteps: 8,
    upscale: "4x",
    upscaleBy: 3,
  };
  const provenance = {
    model: "m",
    modelHash: "h",
    dtype: "f32",
    tune: "auto",
  } as const;
  const text = toText(settingsOf(given), provenance);
  const parameters = toParameters(text);
  for (
    const part of [
      "Denoising strength: 0.5",
      "Hires upscale: 1.5",
      "Hires steps: 8",
      "Hires upscaler: 4x",
    ]
  ) assert(parameters.includes(part), parameters);
  const { settings } = fromText({
    ...fromParameters(parameters),
  }, "a.png");
  for (const [name, value] of Object.entries(given)) {
    assertEquals(settings[name as keyof Settings], value, name);
  }
  assertEquals(upscalerNames(given), ["4x"]);
});

Deno.test("hires: the second pass of another program's image is repeated", () => {
  const read = (pass: string) =>
    fromText({
      parameters:
        `a man\nSteps: 20, Sampler: DDIM, CFG scale: 7, Seed: 1, Size: 64x64, ${pass}`,
    }, "a.png");
  const { settings, otherProgram } = read(
    "Denoising strength: 0.7, Hires upscale: 2, Hires steps: 10, Hires upscaler: R-ESRGAN 4x+",
  );
  const { hiresScale, hiresStrength, hiresSteps, hiresUpscaler } = settings;
  assertEquals({ hiresScale, hiresStrength, hiresSteps, hiresUpscaler }, {
    hiresScale: 2,
    hiresStrength: 0.7,
    // 10 of 15 steps are run.
    hiresSteps: 15,
    hiresUpscaler: "RealESRGAN_x4plus",
  });
  assertEquals(otherProgram?.unsupported, undefined);
  const sized = read("Denoising strength: 0.5, Hires resize: 96x128").settings;
  assertEquals(
    [sized.hiresWidth, sized.hiresHeight, sized.hiresUpscaler],
    [96, 128, "latent"],
  );
  // What is not computed here is named among what is not available.
  for (const other of ["Latent (nearest)", "Latent (bicubic)"]) {
    const none = read(
      `Denoising strength: 0.7, Hires upscale: 2, Hires upscaler: ${other}`,
    );
    assertEquals(none.settings.hiresScale, undefined);
    assert(none.otherProgram?.unsupported?.includes("Hires upscale"));
  }
});

Deno.test("hires: latents are interpolated as torch.nn.functional.interpolate", () => {
  // F.interpolate(torch.arange(6.0).reshape(1, 1, 2, 3), (3, 5), mode="bilinear")
  const expected = [
    ...[0, 0.4, 1, 1.6, 2],
    ...[1.5, 1.9, 2.5, 3.1, 3.5],
    ...[3, 3.4, 4, 4.6, 5],
  ];
  const found = resizeLatents(
    Float32Array.from({ length: 6 }, (_, i) => i),
    { height: 2, width: 3 },
    { height: 3, width: 5 },
  );
  assertEquals(found.length, expected.length);
  // f32's step below 8 is 5e-7.
  found.forEach((value, i) => assertAlmostEquals(value, expected[i], 1e-6));
});

Deno.test("upscale: tiles cover every pixel once, with whole overlaps", () => {
  for (const multiple of [1, 2, 4]) {
    for (const length of [1, 7, 64, 65, 100, 333]) {
      const tiles = windows(length, { tile: 64, overlap: 10 }, multiple);
      let at = 0;
      for (const [i, { start, size, from, to }] of tiles.entries()) {
        assertEquals(from, at);
        assertEquals([start % multiple, size % multiple], [0, 0]);
        assertEquals(size, tiles[0].size);
        if (i > 0) assert(from - start >= 10, `${length}: ${from} ${start}`);
        if (i < tiles.length - 1) assert(start + size - to >= 10);
        at = to;
      }
      assertEquals(at, length);
    }
  }
});

gpuTest("upscale: tiles give the same image as the whole", async () => {
  const weaver = await miniWeaver("f32");
  for (const scale of [4, 2] as const) {
    await using converted = await convertFiles({
      "small.safetensors": upscalerTensors(scale),
    });
    const upscaler = converted.sources.get("upscaler")!;
    const [width, height] = [57, 44];
    const noise = drawn(width * height, 5);
    const data = Uint8ClampedArray.from(
      { length: width * height * 4 },
      (_, i) => i % 4 === 3 ? 255 : 128 + 90 * noise[i >> 2],
    );
    const image = { width, height, data };
    const whole = await weaver.upscale(image, {
      upscaler,
      upscaleBy: scale,
      tile: 64,
    });
    assertEquals([whole.width, whole.height], [width * scale, height * scale]);
    // Its blocks see 33 pixels, of which those far off hardly count.
    const cut = await weaver.upscale(image, {
      upscaler,
      upscaleBy: scale,
      tile: 48,
      overlap: 14,
    });
    // Few bytes if any fall to the other side of a half.
    const quality = psnr(cut.data, whole.data);
    assert(quality >= 60, `×${scale}: PSNR ${quality} dB`);
  }
});

const folder = repositoryPath("tests/goldens/pictures");
const cases: readonly (Partial<Settings> & { name: string; prompt: string })[] =
  JSON.parse(await Deno.readTextFile(`${folder}/hires.json`));

for (const { name, ...settings } of cases) {
  gpuTest(`${name}: two passes as diffusers makes them`, async () => {
    const weaver = await miniWeaver("f32");
    const { images: [image] } = await weaver.generate({
      rng: "torch-cpu",
      ...settings,
    });
    const expected = await readImage(`${folder}/${name}-0.png`);
    assertEquals([image.width, image.height], [
      expected.width,
      expected.height,
    ]);
    const quality = psnr(image.data, expected.data);
    assert(quality >= 50, `PSNR ${quality} dB`);
    assert(largestDifference(image.data, expected.data) <= 3);
  });
}

gpuTest("TAESD decodes and previews; without it that is refused", async () => {
  const request = { prompt: "a man", steps: 4, width: 64, height: 48 };
  const plain = await miniWeaver("f32");
  const error = await assertRejects(
    () => plain.generate({ ...request, decoder: "taesd" }),
    MasterWeaverError,
    "has no taesd.weave",
  );
  assertEquals(error.code, "bad-model");
  await using converted = await convertFiles({
    "config.json": { _class_name: "AutoencoderTiny", ...SMALL_TAESD },
    "diffusion_pytorch_model.safetensors": taesdTensors(SMALL_TAESD),
  });
  await using weaver = await MasterWeaver.load(repositoryPath("weights/mini"), {
    taesd: `${converted.output}/taesd.weave`,
    dtype: "f32",
    tune: "off",
  });
  // The tiny autoencoder is no part of what makes the model.
  assertEquals(weaver.hash, plain.hash);
  const previews: Preview[] = [];
  const { images: [image] } = await weaver.generate({
    ...request,
    decoder: "taesd",
    previews: "taesd",
    previewInterval: 0,
    onPreview: (preview) => previews.push(preview),
  });
  assertEquals([image.width, image.height], [64, 48]);
  assertEquals(previews.map(({ step }) => step), [2, 3]);
  const [{ images: [shown] }] = previews;
  assertEquals([shown.width, shown.height], [64, 48]);
});

gpuTest("VAE tiles: the image differs little from the whole's", async () => {
  const weaver = await miniWeaver("f32");
  const request = { prompt: "a man", steps: 1, width: 160, height: 48 };
  const { images: [whole] } = await weaver.generate(request);
  const { images: [tiled] } = await weaver.generate({
    ...request,
    vaeTiling: "on",
  });
  const quality = psnr(tiled.data, whole.data);
  // Norms see a tile alone, which shows (39 dB), and below 60 dB tiles were used.
  assert(quality > 20 && quality < 60, `PSNR ${quality} dB`);
});

gpuTest("hires: from pixels, in tiles, and larger in the end", async () => {
  const weaver = await miniWeaver("f32");
  const { images: [image] } = await weaver.generate({
    prompt: "a man",
    steps: 2,
    width: 64,
    height: 48,
    hiresScale: 1.5,
    hiresUpscaler: "lanczos",
    upscale: "lanczos",
    upscaleBy: 1.25,
  });
  assertEquals([image.width, image.height], [120, 90]);
});
