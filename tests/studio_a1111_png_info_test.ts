/**
 * AUTOMATIC1111's `png-info`, and its operations with a model on the GPU.
 */
import { assert, assertEquals } from "@std/assert";
import { decodeImage, encodePng } from "../src/host/codecs/codec.ts";
import { toParameters } from "../src/options/parameters_text.ts";
import { fromText } from "../src/options/settings_text.ts";
import { GpuEngine } from "../src/studio/engine/gpu_engine.ts";
import { type Client, withClient } from "./support/a1111_client.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";
import { dataUrl, drawnPhoto } from "./support/studio_server.ts";

const photo = dataUrl(drawnPhoto());

Deno.test("png-info reads settings of this and other programs", async () => {
  await withClient({}, async (client) => {
    const image = { width: 16, height: 16, data: new Uint8ClampedArray(1024) };
    const parameters =
      "a man\nNegative prompt: a hat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 3, Size: 512x768, Clip skip: 2";
    const file = encodePng(image, { parameters, note: "mine" });
    const answer = await client.post("png-info", { image: file.toBase64() });
    assertEquals(answer.info, parameters);
    assertEquals(answer.items, { note: "mine" });
    assertEquals(answer.parameters, {
      "Prompt": "a man",
      "Negative prompt": "a hat",
      "Steps": "20",
      "Sampler": "Euler a",
      "CFG scale": "7",
      "Seed": "3",
      "Size-1": "512",
      "Size-2": "768",
      "Clip skip": "2",
    });
    const ours = toParameters({
      prompt: "a man",
      steps: "4",
      sampler: "DPM++ 2M",
      schedule: "Karras",
      width: "64",
      height: "96",
      seed: "1",
      clip_skip: "2",
      hires_scale: "2",
      hires_upscaler: "latent",
      hires_strength: "0.5",
      prompt_syntax: "a1111",
      software: "masterweaver 1.0.0",
    });
    const own = await client.post("png-info", {
      image: encodePng(image, { parameters: ours }).toBase64(),
    });
    assertEquals(own.parameters, {
      "Prompt": "a man",
      "Negative prompt": "",
      "Steps": "4",
      "Sampler": "DPM++ 2M",
      "Schedule type": "Karras",
      "Seed": "1",
      "Size-1": "64",
      "Size-2": "96",
      "Clip skip": "2",
      "Hires upscale": "2",
      "Hires upscaler": "Latent",
      "Denoising strength": "0.5",
      "prompt syntax": "a1111",
      "Version": "masterweaver 1.0.0",
    });
    const bare = await client.post("png-info", { image: photo });
    assertEquals(bare, { info: "", items: {}, parameters: {} });
    const { detail } = await client.bad("png-info", { image: "%" });
    assertEquals(detail[0].loc, ["body", "image"]);
  });
});

gpuTest("mini model: png-info reads back what made an image", async () => {
  const mini = repositoryPath("weights/mini");
  const engine = await GpuEngine.open(mini, { tune: "off" });
  await withClient({ engine, jobTimeout: 300_000 }, async (client) => {
    const portrait = repositoryPath("src/studio/page/portraits/0.jpg");
    const request = {
      prompt: "a man,\nNegative prompt: none",
      negative_prompt: "a hat",
      seed: 5,
      steps: 2,
      width: 64,
      height: 64,
    };
    const photos = [Deno.readFileSync(portrait).toBase64()];
    const { images, info } = await client.post("txt2img", {
      ...request,
      alwayson_scripts: { masterweaver: { args: photos } },
    });
    const { info: text, parameters } = await client.post("png-info", {
      image: images[0],
    });
    assertEquals(JSON.parse(info).infotexts, [text]);
    assertEquals(parameters["Prompt"], request.prompt);
    assertEquals(parameters["Negative prompt"], "a hat");
    assertEquals([parameters.Seed, parameters["Size-1"]], ["5", "64"]);
    const { settings } = fromText({ parameters: text }, "the image");
    const [made] = client.settings;
    const isSame = { ...made, ...settings, seed: 5 };
    assertEquals(isSame, made, "the text alone repeats it");
    const nobody = await client.post("txt2img", request);
    assertEquals(client.settings[1].idScale, 0);
    assert(nobody.images[0] !== images[0]);
    await repaintHalf(client);
  });
});

/** Repaints what a mask has black, and makes the result larger. */
async function repaintHalf(client: Client): Promise<void> {
  const size = { width: 64, height: 64 };
  const drawn = (grey: (x: number, y: number) => number) => {
    const data = Uint8ClampedArray.from({ length: 4 * 64 * 64 }, (_, i) => {
      const pixel = i >> 2;
      return i % 4 === 3 ? 255 : grey(pixel % 64, pixel >> 6);
    });
    return new Uint8Array(encodePng({ ...size, data }, {})).toBase64();
  };
  const { images: [image] } = await client.post("img2img", {
    ...size,
    init_images: [drawn((x, y) => 2 * x + y)],
    mask: drawn((x) => x < 32 ? 0 : 255),
    inpainting_mask_invert: 1,
    inpaint_full_res: false,
    mask_blur: 0,
    inpainting_fill: 1,
    prompt: "a (man:1.2)",
    sampler_name: "Euler",
    steps: 2,
    seed: 1,
  });
  const { data } = decodeImage(Uint8Array.fromBase64(image), "image");
  let changed = 0;
  for (let i = 0; i < 64 * 64; i++) {
    const x = i % 64, y = i >> 6;
    const isOriginal = [0, 1, 2].every((c) => data[4 * i + c] === 2 * x + y);
    if (x >= 32) assert(isOriginal, `${x}, ${y}`);
    else if (!isOriginal) changed++;
  }
  assert(changed > 500, "what is black is repainted");
  const { image: larger } = await client.post("extra-single-image", {
    image,
    upscaler_1: "Lanczos",
    upscaling_resize: 2,
  });
  const made = decodeImage(Uint8Array.fromBase64(larger), "larger");
  assertEquals([made.width, made.height], [128, 128]);
}
