/**
 * Samplers, schedules, the second pass and lists of AUTOMATIC1111's operations.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { imageSize } from "../src/host/codecs/image_size.ts";
import type { Settings } from "../src/options/settings.ts";
import { samplerNames } from "../src/samplers/sampler_names.ts";
import { readHires } from "../src/studio/a1111/hires.ts";
import { readOptions } from "../src/studio/a1111/options.ts";
import { readSampler } from "../src/studio/a1111/samplers.ts";
import { readUpscaler } from "../src/studio/a1111/upscalers.ts";
import { DrawingEngine } from "./support/drawing_engine.ts";
import { withClient } from "./support/a1111_client.ts";
import { drawnPhoto } from "./support/studio_server.ts";

const { model } = new DrawingEngine();

Deno.test("samplers by every name that clients have for them", () => {
  const cases: readonly [
    sampler: string | null,
    scheduler: string | null,
    expected: Partial<Settings>,
  ][] = [
    [null, null, { sampler: "Euler" }],
    ["", "Automatic", { sampler: "Euler" }],
    ["Euler a", "automatic", { sampler: "Euler a" }],
    ["DPM++ 2M", null, { sampler: "DPM++ 2M", schedule: "Karras" }],
    ["DPM++ 2M", "Uniform", { sampler: "DPM++ 2M", schedule: "linspace" }],
    ["DPM++ 2M Karras", null, { sampler: "DPM++ 2M", schedule: "Karras" }],
    ["DPM++ 2M Karras", "Karras", { sampler: "DPM++ 2M", schedule: "Karras" }],
    ["DPM++ 2M SDE", "Automatic", {
      sampler: "DPM++ 2M SDE",
      schedule: "Exponential",
    }],
    ["DPM++ 2M SDE Heun Exponential", null, {
      sampler: "DPM++ 2M SDE Heun",
      schedule: "Exponential",
    }],
    ["k_dpmpp_2m_ka", null, { sampler: "DPM++ 2M", schedule: "Karras" }],
    ["k_euler_ancestral", null, { sampler: "Euler a" }],
    ["Euler", "SGMUniform", { sampler: "Euler", schedule: "SGM Uniform" }],
    ["Euler", "align_your_steps", {
      sampler: "Euler",
      schedule: "Align Your Steps",
    }],
    ["DDIM", "Uniform", { sampler: "DDIM" }],
    ["DDIM", "DDIM", { sampler: "DDIM" }],
    ["LCM", "Automatic", { sampler: "LCM" }],
    ["EulerDiscreteScheduler", null, { sampler: "EulerDiscreteScheduler" }],
  ];
  for (const [sampler_name, scheduler, expected] of cases) {
    const read = readSampler({ sampler_name, scheduler }, {});
    assertEquals(read, expected as typeof read, sampler_name ?? "none");
  }
  const { sampler } = readSampler({ sampler_index: "Heun" }, {});
  assertEquals(sampler, "Heun");
});

Deno.test("eta is what the sampler makes of it there", () => {
  const eta = (sampler_name: string, given: number | null, options = {}) =>
    readSampler({ sampler_name, eta: given }, options).eta;
  assertEquals(eta("DDIM", 1), 1);
  assertEquals(eta("DDIM", 0), undefined);
  assertEquals(eta("Euler a", 1), undefined);
  assertEquals(eta("Euler a", 0.5), 0.5);
  assertEquals(eta("Euler", 1), undefined);
  assertEquals(eta("DPM++ 2M SDE", 1), undefined);
  const options = { eta_ddim: 0.2, eta_ancestral: 0.7 };
  assertEquals(eta("DDIM", null, options), 0.2);
  assertEquals(eta("Euler a", null, options), 0.7);
  assertEquals(eta("Euler a", 0.1, options), 0.1);
  assertEquals(eta("Euler", null, options), undefined);
});

Deno.test("samplers, schedules and eta that do not go together are refused", async () => {
  await withClient({}, async (client) => {
    const cases: readonly [Record<string, unknown>, RegExp][] = [
      [{ sampler_name: "Eular" }, /sampler_name: .*such as Euler,.*got Eular/],
      [{ sampler_index: "LMS" }, /sampler_index: .*must be a sampler's name/],
      [{ scheduler: "Karas" }, /scheduler: .*such as Karras,/],
      [
        { sampler_name: "DDIM", scheduler: "Karras" },
        /scheduler: .*that DDIM has.*got Karras/,
      ],
      [
        { sampler_name: "DPM++ 2M Karras", scheduler: "Exponential" },
        /scheduler: .*name says Karras/,
      ],
      [{ sampler_name: "DPM++ 2M SDE", eta: 0 }, /eta: .*must be 1/],
      [{ sampler_name: "Euler a", eta: 2 }, /eta: /],
      [
        {
          sampler_name: "DPM++ 3M SDE",
          override_settings: { eta_ancestral: 0.5 },
        },
        /override_settings.eta_ancestral/,
      ],
      [
        { override_settings: { CLIP_stop_at_last_layers: 13 } },
        /override_settings.CLIP_stop_at_last_layers/,
      ],
      [
        { override_settings: { sd_vae_decode_method: "Approx" } },
        /override_settings.sd_vae_decode_method: .*Full, TAESD/,
      ],
    ];
    for (const [body, message] of cases) {
      assertMatch(await client.refused("txt2img", body), message);
    }
  });
});

Deno.test("options of a request become settings", () => {
  const { settings, eta_ddim, unknown } = readOptions({
    CLIP_stop_at_last_layers: 2,
    sd_vae_decode_method: "TAESD",
    eta_ddim: 0.3,
    sd_vae: "None",
    colour: 1,
  }, model);
  assertEquals(settings, { clipSkip: 2, decoder: "taesd" });
  assertEquals([eta_ddim, unknown], [0.3, ["colour"]]);
});

Deno.test("a second pass runs as many steps as it is asked to", () => {
  const context = {
    model,
    upscalers: ["RealESRGAN_x4plus"],
    steps: 20,
    options: {},
  };
  const read = (fields: Record<string, unknown>) =>
    readHires({ enable_hr: true, ...fields }, context);
  assertEquals(read({ enable_hr: false, hr_scale: 3 }), {});
  assertEquals(read({}), {
    hiresScale: 2,
    hiresUpscaler: "latent",
    hiresStrength: 0.75,
    hiresSteps: 27,
  });
  for (const [runs, strength] of [[20, 0.7], [7, 0.35], [1, 0.1], [30, 1]]) {
    const { hiresSteps = 0 } = read({
      hr_second_pass_steps: runs,
      denoising_strength: strength,
    });
    assertEquals(Math.floor(hiresSteps * strength), runs);
  }
  assertEquals(read({ hr_resize_x: 96 }).hiresWidth, 96);
  const both = { hr_resize_x: 96, hr_resize_y: 96 };
  assertEquals(read(both).hiresHeight, 96);
  assertEquals(read({ hr_upscaler: "None" }).hiresUpscaler, "lanczos");
  assertEquals(
    read({ hr_upscaler: "R-ESRGAN 4x+" }).hiresUpscaler,
    "RealESRGAN_x4plus",
  );
  assertEquals(readUpscaler("Lanczos", [], "upscaler_1"), "lanczos");
});

Deno.test("a second pass: what differs from the first is refused by name", async () => {
  await withClient({}, async (client) => {
    const same = {
      enable_hr: true,
      steps: 4,
      prompt: "a",
      sampler_name: "DPM++ 2M",
      hr_prompt: "a",
      hr_sampler_name: "Use same sampler",
      hr_scheduler: "Karras",
      hr_checkpoint_name: "Use same checkpoint",
      hr_upscaler: "sharp",
    };
    const { info } = await client.post("txt2img", same);
    assertEquals(JSON.parse(info).denoising_strength, 0.75);
    assertEquals(client.settings[0].hiresUpscaler, "sharp");
    const refused: Readonly<Record<string, unknown>> = {
      hr_prompt: "b",
      hr_negative_prompt: "b",
      hr_sampler_name: "Euler",
      hr_scheduler: "Exponential",
      hr_upscaler: "Latent (nearest)",
      hr_resize_x: 100,
      hr_scale: 0.5,
      denoising_strength: 0.001,
      firstphase_width: 32,
    };
    for (const [name, value] of Object.entries(refused)) {
      const body = { ...same, hr_resize_y: name === "hr_resize_x" ? 64 : 0 };
      assertMatch(
        await client.refused("txt2img", { ...body, [name]: value }),
        new RegExp(`^${name}: `),
      );
    }
    const other = { ...same, hr_checkpoint_name: "another" };
    assertEquals((await client.bad("txt2img", other)).status, 404);
  });
});

Deno.test("lists say what there is, and all of it can be asked for", async () => {
  await withClient({}, async (client) => {
    const samplers: { name: string; aliases: string[] }[] = await client.get(
      "samplers",
    );
    assertEquals(samplers.map(({ name }) => name), [...samplerNames]);
    for (const { name, aliases } of samplers) {
      for (const sampler_name of [name, ...aliases]) {
        assertEquals(readSampler({ sampler_name }, {}).sampler, name);
      }
    }
    const schedules: { name: string; label: string }[] = await client.get(
      "schedulers",
    );
    assert(schedules.some(({ name }) => name === "karras"));
    for (const { name, label } of schedules) {
      const [byName, byLabel] = [name, label].map((scheduler) =>
        readSampler({ scheduler }, {}).schedule
      );
      assertEquals(byName, byLabel);
    }
    const names = async (list: string) =>
      (await client.get(list)).map(({ name }: { name: string }) => name);
    assertEquals(await names("loras"), ["ink", "watercolour"]);
    assertEquals(await names("upscalers"), ["None", "Lanczos", "sharp"]);
    assertEquals(await names("latent-upscale-modes"), [
      "Latent",
      "Latent (antialiased)",
    ]);
    const { loaded } = await client.get("embeddings");
    assertEquals(Object.keys(loaded), ["easynegative"]);
    const { txt2img, img2img } = await client.get("scripts");
    assertEquals(txt2img, img2img);
    assert(txt2img.includes("controlnet"));
    assertEquals((await client.get("options")).eta_ancestral, 1);
  });
});

Deno.test("images are made larger", async () => {
  await withClient({}, async (client) => {
    const image = drawnPhoto().toBase64();
    const body = { image, upscaler_1: "Lanczos", upscaling_resize: 1.5 };
    const { image: larger, html_info } = await client.post(
      "extra-single-image",
      body,
    );
    const size = (file: string) => imageSize(Uint8Array.fromBase64(file));
    assertEquals(size(larger)?.width, 24);
    assertEquals(html_info, "");
    const { images } = await client.post("extra-batch-images", {
      imageList: [{ data: image, name: "a" }, { data: image, name: "b" }],
      upscaler_1: "sharp",
    });
    // That program's default is twice the size.
    assertEquals(images.map((file: string) => size(file)?.width), [32, 32]);
    assertEquals(client.settings[1].upscale, "sharp");
    const [job] = client.studio.studio.jobs.all();
    assertEquals(job.resource().settings, {
      upscale: "lanczos",
      upscaleBy: 1.5,
    });
    const refused: Readonly<Record<string, unknown>> = {
      upscaler_1: "ScuNET GAN",
      upscaler_2: "Lanczos",
      resize_mode: 1,
      gfpgan_visibility: 0.5,
      upscaling_resize: 9,
      image: "%",
    };
    for (const [name, value] of Object.entries(refused)) {
      const message = await client.refused("extra-single-image", {
        ...body,
        [name]: value,
      });
      assertMatch(message, new RegExp(`^${name}: `));
    }
    const { image: _, ...without } = body;
    const message = await client.refused("extra-single-image", without);
    assertMatch(message, /^image: /);
    const ofList = await client.refused("extra-batch-images", {
      imageList: [{ data: image }, { data: "%" }],
      upscaler_1: "Lanczos",
    });
    assertMatch(ofList, /^imageList\.1\.data: Field imageList\.1\.data must/);
    const none = await client.refused("extra-single-image", { image });
    assertMatch(none, /upscaler_1: .*such as .*Lanczos/);
  });
});
