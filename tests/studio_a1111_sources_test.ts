/**
 * AUTOMATIC1111's `img2img`, its ControlNets, and what files are read as.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { encodePng } from "../src/host/codecs/codec.ts";
import type { Image } from "../src/image/image.ts";
import type { PhotoReading } from "../src/studio/engine/engine.ts";
import { photoHandlers } from "../src/studio/engine/photo_handlers.ts";
import { withClient } from "./support/a1111_client.ts";
import { makePng } from "./support/odd_images.ts";
import { dataUrl, drawnPhoto } from "./support/studio_server.ts";

const square = drawnPhoto().toBase64();
const wide = (() => {
  const data = new Uint8ClampedArray(32 * 16 * 4).fill(255);
  return new Uint8Array(encodePng({ width: 32, height: 16, data }, {}));
})().toBase64();

Deno.test("img2img: that program's defaults", async () => {
  await withClient({}, async (client) => {
    const { images, info, parameters } = await client.post("img2img", {
      init_images: [square],
      mask: dataUrl(drawnPhoto(255)),
      prompt: "a man",
      steps: 4,
    });
    assertEquals(images.length, 1);
    const [settings] = client.settings;
    const { strength, maskFill, maskBlur, onlyMasked, maskPadding } = settings;
    assertEquals(
      { strength, maskFill, maskBlur, onlyMasked, maskPadding },
      {
        strength: 0.75,
        maskFill: "blur",
        maskBlur: 4,
        onlyMasked: true,
        maskPadding: 0,
      },
    );
    const { initImage, mask, controls } = client.task.sources;
    assertEquals(initImage?.reading, undefined);
    assertEquals(mask?.reading?.mask, { isInverted: false });
    assertEquals(controls, []);
    assertEquals(JSON.parse(info).denoising_strength, 0.75);
    assertEquals(parameters.denoising_strength, 0.75);
    assertEquals([parameters.init_images, parameters.mask], [null, null]);
  });
});

Deno.test("img2img: every field", async () => {
  await withClient({}, async (client) => {
    const { parameters } = await client.post("img2img", {
      init_images: [wide],
      mask: square,
      denoising_strength: 0.5,
      resize_mode: 1,
      mask_blur_x: 2,
      mask_blur_y: 2,
      inpainting_fill: 3,
      inpaint_full_res: 0,
      inpaint_full_res_padding: 32,
      inpainting_mask_invert: 1,
      initial_noise_multiplier: 1,
      image_cfg_scale: 1.5,
      include_init_images: true,
      batch_size: 2,
      steps: 4,
      width: 32,
      height: 64,
    });
    assertEquals(parameters.init_images, [wide]);
    const [settings, second] = client.settings;
    assertEquals(Number(second.seed) - Number(settings.seed), 1);
    const { strength, maskFill, maskBlur, onlyMasked } = settings;
    assertEquals(
      [strength, maskFill, maskBlur, onlyMasked],
      [0.5, "nothing", 2, undefined],
    );
    const { initImage, mask } = client.task.sources;
    const fit = { by: "crop" as const, width: 32, height: 64 };
    assertEquals(initImage?.reading, { fit });
    assertEquals(mask?.reading, { fit, mask: { isInverted: true } });
    // Without a mask, what is said of masks counts for nothing.
    await client.post("img2img", {
      init_images: [square],
      mask_blur: 8,
      inpainting_fill: 2,
      mask: "",
      steps: 4,
      masterweaver: { strength: 0.6, initImage: wide },
    });
    const own = client.settings[2];
    assertEquals([own.strength, own.maskFill], [0.6, undefined]);
  });
});

Deno.test("img2img: refuses by name", async () => {
  await withClient({}, async (client) => {
    const refused: Readonly<Record<string, unknown>> = {
      init_images: [square, square],
      resize_mode: 3,
      denoising_strength: 0,
      latent_mask: square,
      initial_noise_multiplier: 1.1,
      mask_round: false,
      enable_hr: true,
      inpainting_fill: 4,
      mask_blur: 65,
      tiling: true,
      mask: "%",
    };
    for (const [name, value] of Object.entries(refused)) {
      const body = { init_images: [square], mask: square, [name]: value };
      assertMatch(await client.refused("img2img", body), new RegExp(name));
    }
    assertMatch(
      await client.refused("img2img", {
        init_images: ["data:image/png;base64,"],
      }),
      /^init_images.0: Field init_images.0 must be a PNG or JPEG/,
    );
    assertMatch(await client.refused("img2img", {}), /init_images.*got 0/);
    assertMatch(
      await client.refused("img2img", {
        init_images: [square],
        mask: square,
        mask_blur_x: 1,
        mask_blur_y: 2,
      }),
      /mask_blur_x.*1 and 2/,
    );
  });
});

Deno.test("ControlNet: units as the extension has them", async () => {
  await withClient({}, async (client) => {
    const { info } = await client.post("txt2img", {
      steps: 1,
      alwayson_scripts: {
        controlnet: {
          args: [
            { enabled: false, model: "no such" },
            {
              image: square,
              module: "canny",
              model: "Canny [abcdef12]",
              weight: 0.5,
              guidance_start: 0.1,
              guidance_end: 0.6,
              threshold_a: 100,
              threshold_b: 200,
              processor_res: 768,
              control_mode: "Balanced",
              resize_mode: "Resize and Fill",
              hr_option: "Both",
              future: 1,
            },
            { input_image: wide, model: "face", resize_mode: 0 },
          ],
        },
      },
    });
    const controls = client.task.sources.controls.map((control) => ({
      ...control,
      image: undefined,
    }));
    const image = undefined;
    assertEquals(controls, [
      {
        name: "canny",
        scale: 0.5,
        start: 0.1,
        end: 0.6,
        preprocess: "canny",
        image,
      },
      { name: "face", scale: 1, start: 0, end: 1, preprocess: "none", image },
    ]);
    const warnings = JSON.parse(info).warnings.join("\n");
    assertMatch(warnings, /args\.1\.processor_res/);
    assertMatch(warnings, /Not known here: .*args\.1\.future/);
    await client.post("img2img", {
      init_images: [square],
      steps: 2,
      alwayson_scripts: {
        ControlNet: {
          args: [{ model: "face", module: "face", control_mode: 2 }],
        },
      },
    });
    assertEquals(client.settings[1].guessMode, true);
    const { controls: [control], initImage } = client.task.sources;
    assertEquals(control.image.hash, initImage?.hash);
    // webuiapi sends 64 and 64 where nobody says any.
    const unsaid = { threshold_a: 64, threshold_b: 64 };
    const unit = { image: square, module: "canny", model: "canny", ...unsaid };
    const { info: told } = await client.post("txt2img", {
      steps: 1,
      alwayson_scripts: { ControlNet: { args: [unit] } },
    });
    assertMatch(
      told,
      /thresholds 100 and 200; not used: .*args\.0\.threshold_a/,
    );
  });
});

Deno.test("ControlNet: refuses by name", async () => {
  await withClient({}, async (client) => {
    const refused: Readonly<Record<string, unknown>> = {
      model: "cany",
      module: "depth_midas",
      image: 3,
      mask: square,
      weight: 3,
      guidance_start: "x",
      control_mode: "My prompt is more important",
      threshold_a: 64,
      advanced_weighting: [1, 0.5],
      effective_region_mask: square,
      batch_images: "/some/folder",
    };
    const asked = (unit: Readonly<Record<string, unknown>>) => ({
      alwayson_scripts: {
        controlnet: {
          args: [{ image: square, model: "canny", module: "canny", ...unit }],
        },
      },
    });
    for (const [name, value] of Object.entries(refused)) {
      const message = await client.refused("txt2img", asked({ [name]: value }));
      assertMatch(
        message,
        new RegExp(`^alwayson_scripts\\.controlnet\\.args\\.0\\.${name}: `),
      );
    }
    assertMatch(
      await client.refused("txt2img", asked({ model: "cany" })),
      /such as canny/,
    );
    assertMatch(
      await client.refused("txt2img", asked({ image: wide })),
      /resize_mode.*Just Resize.*32x16 and 64x64/,
    );
    assertMatch(
      await client.refused("txt2img", asked({ image: null })),
      /image is missing/,
    );
    assertMatch(
      await client.refused("img2img", {
        init_images: [square],
        mask: square,
        ...asked({}),
      }),
      /inpaint_crop_input_image/,
    );
    const both = { ...asked({}), masterweaver: { controlnet: ["face"] } };
    assertMatch(await client.refused("txt2img", both), /give one of them/);
    const list = { alwayson_scripts: { controlnet: { args: ["a", 3] } } };
    assertMatch(await client.refused("txt2img", list), /must be a unit/);
    const controlnet = Array(9).fill("face");
    const own = {
      masterweaver: { args: [{ controlnet, references: [square] }] },
    };
    assertMatch(
      await client.refused("txt2img", { alwayson_scripts: own }),
      /controlnet has 9 entries, at most 8 are possible/,
    );
    const answer = await client.bad("/controlnet/detect", {});
    assertEquals([answer.status, answer.error], [404, "HTTPException"]);
  });
});

Deno.test("ControlNet: what there is", async () => {
  await withClient({}, async (client) => {
    const models = await client.get("/controlnet/model_list?update=true");
    assertEquals(models, { model_list: ["canny", "face"] });
    const { module_list, module_detail } = await client.get(
      "/controlnet/module_list?alias_names=1",
    );
    assertEquals(module_list, ["none", "canny", "face"]);
    assertEquals(Object.keys(module_detail), module_list);
    assertEquals(await client.get("/controlnet/version"), { version: 3 });
    const types = await client.get("/controlnet/control_types");
    assertEquals(types.control_types.All.default_model, "None");
    assertEquals((await client.get("/controlnet/none")).error, "HTTPException");
  });
});

Deno.test("masks are read by transparency, inverted and cropped as there", async () => {
  const handlers = photoHandlers({
    aligns: false,
    maxPixels: 1e6,
    openFinder: () => Promise.resolve(null),
    encodePng: (image) => new Uint8Array(encodePng(image, {})),
  });
  const decode = async (
    bytes: Uint8Array<ArrayBuffer>,
    reading: PhotoReading,
  ): Promise<Image> => {
    const input = { bytes, name: "mask", reading };
    const signal = new AbortController().signal;
    const { output } = await handlers.decode(input, { signal, emit() {} });
    return output;
  };
  /** The first greys of a mask of these pixels, over and over. */
  const read = async (
    pixels: readonly (readonly number[])[],
    isInverted: boolean,
  ) => {
    const file = makePng({
      width: 16,
      height: 16,
      depth: 8,
      colorType: 6,
      row: () => Array.from({ length: 16 }, (_, x) => pixels[x % 3]).flat(),
    });
    return greys(await decode(file, { mask: { isInverted } })).slice(0, 3);
  };
  const opaque = [[255, 255, 255, 255], [0, 0, 0, 255], [0, 255, 0, 255]];
  assertEquals(await read(opaque, false), [255, 0, 150]);
  assertEquals(await read(opaque, true), [0, 255, 105]);
  const drawn = [[9, 9, 9, 255], [255, 255, 255, 0], [0, 0, 0, 128]];
  assertEquals(await read(drawn, false), [255, 0, 0]);
  assertEquals(await read(drawn, true), [0, 255, 255]);
  // White between two black quarters.
  const data = new Uint8ClampedArray(4 * 64 * 16).fill(255);
  for (let i = 0; i < 64 * 16; i++) {
    const x = i % 64;
    if (x < 16 || x >= 48) data.fill(0, 4 * i, 4 * i + 3);
  }
  const image = { width: 64, height: 16, data };
  const stripes = new Uint8Array(encodePng(image, {}));
  const size = { width: 16, height: 16 };
  const cropped = await decode(stripes, { fit: { by: "crop", ...size } });
  assertEquals(new Set(greys(cropped)), new Set([255]));
  const filled = await decode(stripes, { fit: { by: "fill", ...size } });
  const row = greys(filled).slice(7 * 16, 8 * 16);
  assertEquals([filled.height, row[0], row[7]], [16, 0, 255]);
});

function greys({ data }: Image): number[] {
  return Array.from(data.filter((_, i) => i % 4 === 0));
}
