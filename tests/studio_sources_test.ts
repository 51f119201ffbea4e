/**
 * What images are made from besides a person, over HTTP: an image to start from, a
 * mask, ControlNets; in JSON, in a form, and among the fields of other programs. The
 * engine draws.
 */
import { assert, assertEquals } from "@std/assert";
import { encodePng } from "../src/host/codecs/codec.ts";
import type { ImageTask } from "../src/studio/engine/engine.ts";
import { hugeHeader } from "./support/bombs.ts";
import { DrawingEngine, drawnExtras } from "./support/drawing_engine.ts";
import {
  dataUrl,
  drawnPhoto,
  postJson,
  references,
  refused,
  withStudio,
} from "./support/studio_server.ts";

const grey = drawnPhoto(128), white = drawnPhoto(255), other = drawnPhoto(9);

/** Makes images, and gives what the engine was asked for. */
async function made(
  url: string,
  engine: DrawingEngine,
  body: object,
): Promise<ImageTask> {
  const response = await postJson(`${url}/api/generate`, {
    prompt: "a cat",
    steps: 2,
    ...body,
  });
  return await madeBy(url, engine, response);
}

async function madeBy(
  url: string,
  engine: DrawingEngine,
  response: Response,
): Promise<ImageTask> {
  const job = await response.json();
  assertEquals(response.status, 202, JSON.stringify(job));
  await (await fetch(`${url}/api/jobs/${job.id}/events`)).text();
  return engine.lastTask!;
}

Deno.test("sources: nobody in particular, from an image under a mask", async () => {
  const engine = new DrawingEngine();
  await withStudio({ engine }, async (url) => {
    const task = await made(url, engine, {
      initImage: dataUrl(grey),
      mask: dataUrl(white),
      strength: 0.5,
      maskFill: "noise",
    });
    assertEquals(task.person, null);
    assertEquals(engine.counts.encoded, 0);
    assertEquals(task.settings.idScale, 0);
    assertEquals([task.settings.strength, task.settings.maskFill], [
      0.5,
      "noise",
    ]);
    assertEquals(task.sources.initImage?.bytes, grey);
    assertEquals(task.sources.mask?.bytes, white);
    // Its strength is said, also where nobody gave one.
    const { settings } = await made(url, engine, { initImage: dataUrl(grey) });
    assertEquals([settings.strength, settings.width], [0.8, 64]);
  });
});

Deno.test("sources: an extended image decides the size, turned upright", async () => {
  const engine = new DrawingEngine();
  await withStudio({ engine }, async (url) => {
    const data = new Uint8ClampedArray(48 * 32 * 4).fill(255);
    const lying = encodePng({ width: 48, height: 32, data }, {
      // Orientation 6: its top is at the right.
      "XML:com.adobe.xmp": 'tiff:Orientation="6"',
    });
    const { settings } = await made(url, engine, {
      initImage: dataUrl(lying),
      outpaint: "left=16",
    });
    assertEquals([settings.width, settings.height], [48, 48]);
  });
});

Deno.test("sources: ControlNets have values and images of their own, or shared ones", async () => {
  const engine = new DrawingEngine();
  await withStudio({ engine }, async (url) => {
    const { sources } = await made(url, engine, {
      references,
      controlnet: ["canny", "face"],
      controlImage: [dataUrl(other)],
      controlScale: [0.5],
      controlRange: [[0, 0.5], [0.25, 1]],
      controlPreprocess: ["none", "face"],
      guessMode: true,
    });
    const [first, second] = sources.controls;
    assertEquals(first.image.bytes, other);
    // The reference stands in where a face is drawn of it.
    assertEquals(dataUrl(second.image.bytes), references[0]);
    const { image: _image, ...how } = second;
    assertEquals(how, {
      name: "face",
      scale: 0.5,
      start: 0.25,
      end: 1,
      preprocess: "face",
    });
  });
});

Deno.test("sources: a form carries the files as they are", async () => {
  const engine = new DrawingEngine();
  await withStudio({ engine }, async (url) => {
    const form = new FormData();
    form.append("prompt", "a cat");
    form.append("steps", "2");
    form.append("initImage", new Blob([grey]), "start.png");
    form.append("mask", new Blob([white]), "mask.png");
    form.append("controlnet", "canny");
    form.append("controlImage", new Blob([other]), "edges.png");
    form.append("controlScale", "0.7");
    form.append("controlRange", "0,0.5");
    const body = { method: "POST", body: form };
    const response = await fetch(`${url}/api/generate`, body);
    const { sources } = await madeBy(url, engine, response);
    assertEquals(sources.initImage?.bytes, grey);
    assertEquals(sources.mask?.bytes, white);
    const [{ image, ...how }] = sources.controls;
    assertEquals(image.bytes, other);
    assertEquals(how, { name: "canny", scale: 0.7, start: 0, end: 0.5 });
  });
});

Deno.test("sources: OpenAI's fields have them under masterweaver, by either name", async () => {
  const engine = new DrawingEngine();
  await withStudio({ engine }, async (url) => {
    const response = await postJson(`${url}/v1/images/generations`, {
      prompt: "a cat",
      masterweaver: {
        init_image: dataUrl(grey),
        strength: 0.4,
        controlnet: "canny",
        controlImage: dataUrl(other),
        control_scale: 0.5,
      },
    });
    assertEquals(response.status, 200, await response.text());
    const { settings, sources, person } = engine.lastTask!;
    assertEquals([person, settings.strength], [null, 0.4]);
    assertEquals(sources.initImage?.bytes, grey);
    assertEquals(sources.controls.map(({ name, scale }) => [name, scale]), [
      ["canny", 0.5],
    ]);
  });
});

Deno.test("sources: what does not go together is refused by name", async () => {
  await withStudio({}, async (url) => {
    const generate = `${url}/api/generate`;
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ strength: 0.5 }, /^Option strength needs an initial image/],
      [{ mask: dataUrl(white) }, /^Option mask needs an initial image/],
      [{ maskBlur: 4, initImage: dataUrl(grey) }, /^Option maskBlur needs a m/],
      [{ initImage: "x".repeat(9) }, /^Field initImage must be a data URL/],
      [{ initImage: dataUrl(grey), strength: 1.5 }, /^Field strength must/],
      [
        { sampler: "dpmpp_2m karas" },
        /^Field sampler must be one of \d+ names that \/openapi\.json lists, such as .*DPM\+\+ 2M Karras.{0,50} got "dpmpp_2m karas"$/,
      ],
      [{ idScale: 0.5 }, /^Option idScale must be 0 or not given without an/],
      [{ parse: false }, /^Field parse belongs to photos: give references/],
      [{ controlnet: ["canny"] }, /^Field controlImage\.0 is missing: give an/],
      [{ controlScale: [1] }, /^Field controlScale needs controlnet: name the/],
      [{ guessMode: true }, /^Option guessMode needs a ControlNet/],
      [
        {
          controlnet: ["canny"],
          controlImage: [dataUrl(grey), dataUrl(grey)],
        },
        /^Field controlImage takes one image for each ControlNet, got 2 for 1/,
      ],
      [
        {
          controlnet: ["canny", "face"],
          controlImage: [dataUrl(grey), dataUrl(grey)],
          controlScale: [1, 1, 1],
        },
        /^Option controlScale takes one value, or one for each ControlNet, got 3/,
      ],
      [
        { hiresStrength: 0.5 },
        /^Option hiresStrength needs a larger size: give hiresScale/,
      ],
    ];
    for (const [body, message] of cases) {
      await refused(
        generate,
        { prompt: "a cat", steps: 9, ...body },
        400,
        message,
      );
    }
  });
});

Deno.test("sources: images that are too large together are refused", async () => {
  await withStudio({}, async (url) => {
    const large = dataUrl(hugeHeader(7000, 7000));
    await refused(
      `${url}/api/generate`,
      {
        prompt: "a cat",
        initImage: large,
        controlnet: ["canny", "face"],
        controlImage: [large, large],
      },
      413,
      /^Field controlImage\.1 has 7000x7000 pixels, with which the images of the/,
    );
  });
});

Deno.test("sources: a model without an adapter makes images, and takes no photos", async () => {
  const engine = new DrawingEngine({ isPlain: true });
  await withStudio({ engine }, async (url) => {
    const model = await (await fetch(`${url}/api/model`)).json();
    assertEquals([model.adapterHash, model.maxReferences], [null, 0]);
    assertEquals((await made(url, engine, {})).person, null);
    const photo = { prompt: "a man", references };
    await refused(
      `${url}/api/generate`,
      photo,
      400,
      /^Field references cannot be used: this server's model follows no/,
    );
  });
});

Deno.test("sources: the extra files are listed", async () => {
  await withStudio({}, async (url) => {
    const response = await fetch(`${url}/api/extras`);
    assert(response.ok);
    assertEquals(await response.json(), drawnExtras);
  });
});
