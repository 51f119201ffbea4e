/**
 * OpenAI's operations, called by its own clients as they are: the npm package
 * and the PyPI package.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
// No import map: the client is a test's alone.
// deno-lint-ignore no-import-prefix
import OpenAI, { toFile } from "npm:openai@7.57.0";
import { readPngText } from "../src/host/codecs/codec.ts";
import { imageFileKind } from "../src/image/signature.ts";
import { repositoryPath } from "./support/paths.ts";
import { PythonEnvironment } from "./support/python_environment.ts";
import {
  dataUrl,
  drawnPhoto,
  postJson,
  testStudio,
  type TestStudioOptions,
} from "./support/studio_server.ts";
import type { RunningStudio } from "../src/studio/serve.ts";

const photos = await Promise.all(
  [10, 20, 30, 40].map((colour) =>
    toFile(drawnPhoto(colour), "photo.png", { type: "image/png" })
  ),
);
const [photo] = photos;

/** Does something with a client of a studio. */
async function withClient(
  options: TestStudioOptions,
  use: (client: OpenAI, studio: RunningStudio) => Promise<void>,
): Promise<void> {
  await using studio = await testStudio(options);
  await use(
    new OpenAI({
      baseURL: `${studio.url}/v1`,
      apiKey: options.token ?? "none",
      maxRetries: 0,
    }),
    studio,
  );
}

/** The file of an image in an answer. */
function fileOf(image: { b64_json?: string } | undefined): Uint8Array {
  assert(image?.b64_json);
  return Uint8Array.fromBase64(image.b64_json);
}

/** The settings of the jobs that a studio took in, the oldest first. */
function settingsOf({ studio }: RunningStudio) {
  return [...studio.jobs.all()].map(({ request }) => request.settings);
}

Deno.test("npm openai: the images of an edit are references", async () => {
  await withClient({}, async (client, studio) => {
    const before = Math.floor(Date.now() / 1000);
    const answer = await client.images.edit({ image: photo, prompt: "a man" });
    assertEquals(answer.data?.length, 1);
    assertEquals(readPngText(fileOf(answer.data?.[0])).prompt, "a man");
    assert(answer.created >= before);
    assertEquals(answer.usage?.total_tokens, 0);
    assertEquals([answer.size, answer.output_format], ["64x64", "png"]);
    const [settings] = settingsOf(studio);
    // The table's default.
    assertEquals([settings.steps, settings.numImages], [30, 1]);
    for (const count of [2, 3]) {
      await client.images.edit({
        image: photos.slice(0, count),
        prompt: "a man",
        n: 2,
        size: "128x64",
      });
      const job = [...studio.studio.jobs.all()].at(-1)!;
      assertEquals(job.faces.length, count);
      assertEquals(job.images.length, 2);
      assertEquals(job.images[0].width, 128);
    }
    const [, { seed: one }, { seed: other }] = settingsOf(studio);
    assert(one !== other, "each request has images of its own");
  });
});

Deno.test("npm openai: a prompt alone shows nobody", async () => {
  await withClient({}, async (client, studio) => {
    const answer = await client.images.generate({
      prompt: "a house",
      output_format: "jpeg",
      quality: "high",
      background: "opaque",
      moderation: "low",
      user: "somebody",
    });
    assertEquals(imageFileKind(fileOf(answer.data?.[0])), "jpeg");
    assertEquals(settingsOf(studio)[0].idScale, 0);
    const byAddress = await client.images.generate({
      prompt: "a house",
      response_format: "url",
      size: "auto",
    });
    const image = await fetch(byAddress.data?.[0].url ?? "");
    assertEquals(imageFileKind(await image.bytes()), "png");
  });
});

Deno.test("npm openai: our own options", async () => {
  await withClient({}, async (client, studio) => {
    const masterweaver = {
      steps: 4,
      seed: "18446744073709551615",
      idScale: 0.5,
      negative_prompt: "a hat",
      references: [dataUrl(drawnPhoto())],
    };
    const more = { masterweaver };
    await client.images.generate({ prompt: "a man", ...more });
    const { id } = await (await postJson(`${studio.url}/api/identities`, {
      references: masterweaver.references,
    })).json();
    const again = { masterweaver: { identity: id, steps: 4 } };
    await client.images.generate({ prompt: "a man", ...again });
    const inForm = {
      masterweaver: { steps: 4, guidanceRange: "0,0.5", parse: false },
    };
    await client.images.edit({ image: photo, prompt: "a man", ...inForm });
    const [first, second, third] = settingsOf(studio);
    assertEquals(first.seed, 2n ** 64n - 1n);
    assertEquals([first.idScale, first.negativePrompt], [0.5, "a hat"]);
    assertEquals([second.steps, third.steps], [4, 4]);
    assertEquals(third.guidanceRange, [0, 0.5]);
  });
});

Deno.test("npm openai: streams partial images", async () => {
  await withClient({}, async (client) => {
    for (const wanted of [0, 1, 3]) {
      const stream = await client.images.generate({
        prompt: "a house",
        stream: true,
        partial_images: wanted,
      });
      const types: string[] = [], indices: number[] = [];
      for await (const event of stream) {
        types.push(event.type);
        assertEquals(imageFileKind(fileOf(event)), "png");
        assertEquals([event.size, event.quality], ["64x64", "auto"]);
        if (event.type === "image_generation.partial_image") {
          indices.push(event.partial_image_index);
        } else assertEquals(event.usage.total_tokens, 0);
      }
      assertEquals(types, [
        ...Array(wanted).fill("image_generation.partial_image"),
        "image_generation.completed",
      ]);
      assertEquals(indices, [0, 1, 2].slice(0, wanted));
    }
    const edit = await client.images.edit({
      image: photos.slice(0, 2),
      prompt: "a man",
      stream: true,
      n: 2,
    });
    const types: string[] = [];
    for await (const { type } of edit) types.push(type);
    assertEquals(types, ["image_edit.completed", "image_edit.completed"]);
  });
});

Deno.test("npm openai: errors are its own", async () => {
  const onBug = () => {};
  await withClient({ failsFor: "a bug", onBug }, async (client) => {
    const bad = async (
      request: Record<string, unknown>,
      param: string | null,
    ) => {
      const error = await assertRejects(
        () => client.images.generate({ prompt: "a man", ...request }),
        OpenAI.BadRequestError,
      );
      assertEquals(error.param, param);
      assertEquals(error.type, "invalid_request_error");
      return error;
    };
    await bad({ prompt: 3 }, "prompt");
    await bad({ n: 11 }, "n");
    const sized = await bad({ size: "63x64" }, "size");
    assertMatch(
      sized.message,
      /size \(width\) must be a multiple of 4, got 63/,
    );
    await bad({ size: "large" }, "size");
    await bad({ output_format: "webp" }, "output_format");
    await bad({ output_compression: 50 }, "output_compression");
    await bad({ background: "transparent" }, "background");
    await bad({ style: "vivid" }, "style");
    await bad({ partial_images: 4 }, "partial_images");
    await bad({ colour: "red" }, "colour");
    await bad({ masterweaver: { stepz: 3 } }, "masterweaver.stepz");
    await bad({ masterweaver: { steps: 0 } }, "masterweaver.steps");
    await bad({ masterweaver: { width: 63 } }, "masterweaver.width");
    assertMatch((await bad({ seed: 3 }, "seed")).message, /in masterweaver/);
    const alone = await bad(
      { masterweaver: { idScale: 1 } },
      "masterweaver.references",
    );
    assertMatch(alone.message, /give reference photos/);
    const missing = await assertRejects(
      () => client.images.generate({ prompt: "a man", model: "dall-e-3" }),
      OpenAI.NotFoundError,
    );
    assertEquals(missing.code, "model_not_found");
    assertMatch(missing.message, /this server has drawn/);
    await assertRejects(
      () => client.images.generate({ prompt: "a bug" }),
      OpenAI.InternalServerError,
    );
    const stream = await client.images.generate({
      prompt: "a bug",
      stream: true,
    });
    await assertRejects(
      async () => {
        for await (const _ of stream);
      },
      OpenAI.APIError,
      "The GPU refused a command",
    );
    const edit = (image: Parameters<typeof client.images.edit>[0]["image"]) =>
      assertRejects(
        () => client.images.edit({ image, prompt: "a man" }),
        OpenAI.BadRequestError,
      );
    assertEquals((await edit(photos)).param, "image");
    const text = await toFile(new TextEncoder().encode("text"), "photo.png");
    assertMatch((await edit(text)).message, /must be a PNG or JPEG/);
    const masked = await assertRejects(
      () => client.images.edit({ image: photo, mask: photo, prompt: "a man" }),
      OpenAI.BadRequestError,
    );
    assertEquals(masked.param, "mask");
    assertMatch(masked.message, /masterweaver.initImage.*masterweaver.mask/);
  });
});

Deno.test("npm openai: a plain model makes images, and says why it edits none", async () => {
  await withClient({ isPlain: true }, async (client, studio) => {
    const prompt = "a house";
    await client.images.generate({ prompt });
    // A part of an image is repainted with our own fields.
    const file = dataUrl(drawnPhoto());
    const own = { initImage: file, mask: file, strength: 0.5 };
    await client.images.generate(
      // @ts-expect-error OpenAI's types do not know it.
      { prompt, masterweaver: own },
    );
    const [plain, repainted] = settingsOf(studio);
    assertEquals([plain.idScale, repainted.strength], [0, 0.5]);
    for (const image of [photo, photos]) {
      const refused = await assertRejects(
        () => client.images.edit({ image, prompt }),
        OpenAI.BadRequestError,
      );
      assertEquals(refused.param, "image");
      assertMatch(refused.message, /follows no identities/);
    }
  });
});

Deno.test("npm openai: a job that waits when the server ends may be sent again", async () => {
  await withClient({ stepTime: 5 }, async (client, studio) => {
    const generate = () => client.images.generate({ prompt: "a man" });
    const running = generate();
    const waiting = assertRejects(generate, OpenAI.InternalServerError);
    for (let i = 0; i < 1000; i++) {
      const { counts } = studio.studio.queue;
      if (counts.waiting === 1 && counts.running === 1) break;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await studio.shutdown(10_000);
    const { status, code, type } = await waiting;
    assertEquals([status, code, type], [503, "shutting_down", "server_error"]);
    assertEquals((await running).data?.length, 1);
  });
});

Deno.test("npm openai: tells a full queue, and when to try again", async () => {
  await withClient({ maxWaiting: 0 }, async (client) => {
    const error = await assertRejects(
      () => client.images.generate({ prompt: "a house" }),
      OpenAI.InternalServerError,
    );
    assertEquals([error.status, error.code], [503, "queue_full"]);
    assertEquals(error.headers?.get("retry-after"), "10");
  });
});

Deno.test("npm openai: lists the model, with the token as its key", async () => {
  await withClient({ token: "secret" }, async (client, studio) => {
    const { data } = await client.models.list();
    assertEquals(data.map(({ id }) => id), ["drawn"]);
    assertEquals((await client.models.retrieve("drawn")).object, "model");
    await assertRejects(
      () => client.models.retrieve("gpt-image-2"),
      OpenAI.NotFoundError,
    );
    const stranger = new OpenAI({
      baseURL: `${studio.url}/v1`,
      apiKey: "wrong",
      maxRetries: 0,
    });
    const error = await assertRejects(
      () => stranger.models.list(),
      OpenAI.AuthenticationError,
    );
    assertEquals(error.code, "invalid_api_key");
  });
});

Deno.test("images: no request does harm, whatever its fields", async () => {
  const bugs: unknown[] = [];
  const onBug = (error: unknown) => bugs.push(error);
  await using studio = await testStudio({ onBug });
  const huge = "x".repeat(10_000_000);
  const photo = dataUrl(drawnPhoto());
  const post = async (of: string, body: unknown) => {
    const response = await postJson(`${studio.url}/v1/images/${of}`, body);
    const text = await response.text();
    assert(text.length < 1000, `${text.length} bytes`);
    const { error } = JSON.parse(text);
    return [response.status, error?.param, error?.code];
  };
  const invalid = (param: string | null) => [400, param, "invalid_value"];
  const prompt = "a man";
  for (const body of [null, [], "text", 3]) {
    assertEquals(await post("generations", body), invalid(null));
  }
  const fields: Record<string, unknown[]> = {
    prompt: [null, huge, [prompt], {}],
    n: [0, -1, 1e9, 1e300, 1.5, "2", [1]],
    size: ["0x0", "64", "-64x64", "64x64 ", "99999x64", "1e3x1e3", huge, 64],
    quality: ["ultra", huge],
    stream: ["yes", 1],
    image: [[photo]],
    masterweaver: [huge, [], 3],
    "masterweaver.references": [Array(20_000).fill(photo)],
    "masterweaver.references.0": [["%"], ["data:image/png,x"], [{}], [null]],
    "masterweaver.negativePrompt": [huge],
    "masterweaver.seed": ["x", 2 ** 53, 1.5],
    "masterweaver.guidanceRange": [[1, 0], [0], ["0", "1"]],
  };
  for (const [field, values] of Object.entries(fields)) {
    const [name, own] = field.split(".");
    for (const value of values) {
      const more = own ? { [own]: value } : value;
      const body = { prompt, [name]: more };
      const [status, param, code] = await post("generations", body);
      assertEquals([status, code], [400, "invalid_value"], field);
      assert(String(param).startsWith(field), `${param} is not ${field}`);
    }
  }
  assertEquals(
    await post("generations", { prompt, model: huge }),
    [404, "model", "model_not_found"],
  );
  assertEquals(
    await post("edits", { prompt, image: [photo], "masterweaver[rng]": huge }),
    invalid("masterweaver.rng"),
  );
  const own = "masterweaver[negative_prompt]";
  assertEquals(
    await post("edits", { prompt, image: [photo], [own]: huge }),
    invalid("masterweaver.negative_prompt"),
  );
  for (const image of [[], undefined]) {
    assertEquals(await post("edits", { prompt, image }), invalid("image"));
  }
  for (const rubbish of ["rubbish", "data:image/png;base64,", ""]) {
    const answer = await post("edits", { prompt, image: [rubbish] });
    assertEquals(answer, [400, "image.0", "unsupported_type"]);
  }
  const nothing = await fetch(`${studio.url}/v1/images/variations`);
  assertEquals(nothing.status, 404);
  assertMatch((await nothing.json()).error.message, /openapi\.json lists/);
  assertEquals([...studio.studio.jobs.all()], []);
  assertEquals(bugs, []);
});

for (const stream of [false, true]) {
  const how = stream ? "stream" : "request";
  Deno.test(`npm openai: a client that leaves a ${how} stops its job`, async () => {
    await withClient(
      { stepTime: 20, keepAlive: 150 },
      async (client, { studio }) => {
        const leaving = new AbortController();
        const request = client.images.generate({
          prompt: "a house",
          stream,
          partial_images: 3,
          ...{ masterweaver: { steps: 1000 } },
        }, { signal: leaving.signal });
        if (stream) await request;
        const job = await firstJob(studio.jobs);
        leaving.abort();
        if (!stream) await assertRejects(() => request);
        await job.ended;
        assertEquals(job.state, "cancelled");
      },
    );
  });
}

/** The first job, once it is there. */
async function firstJob(jobs: RunningStudio["studio"]["jobs"]) {
  for (let i = 0; i < 500; i++) {
    for (const job of jobs.all()) return job;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("No job came");
}

const python = await PythonEnvironment.with("openai==3.57.0");

python.test("PyPI openai: edits, options, streams and errors", async () => {
  await using studio = await testStudio({ token: "secret" });
  const out = JSON.parse(
    await python.run(
      repositoryPath("tests/support/clients/openai_client.py"),
      studio.url,
      "secret",
      drawnPhoto().toBase64(),
    ),
  );
  assertEquals(out.models, ["drawn"]);
  assertEquals(out.model, "masterweaver");
  assertEquals(
    readPngText(fileOf(out.edited.data[0])).prompt,
    "a man in the snow",
  );
  assertEquals(out.edited.usage.input_tokens_details.text_tokens, 0);
  assertEquals(out.three.data.length, 2);
  assertEquals(out.three.size, "128x64");
  const [, three] = settingsOf(studio);
  assertEquals([three.steps, three.idScale], [3, 0.5]);
  assertEquals(three.guidanceRange, [0, 0.5]);
  assertEquals(imageFileKind(fileOf(out.generated.data[0])), "jpeg");
  assertEquals(
    out.partials.map(({ type, index, png, size }: Record<string, unknown>) => [
      type,
      index,
      png,
      size,
    ]),
    [
      ["image_edit.partial_image", 0, "PNG", "64x64"],
      ["image_edit.partial_image", 1, "PNG", "64x64"],
      ["image_edit.completed", null, "PNG", "64x64"],
    ],
  );
  assertEquals(out.errors, {
    mask: ["BadRequestError", 400, "mask", "invalid_value"],
    four: ["BadRequestError", 400, "image", "invalid_value"],
    "no photo": ["BadRequestError", 400, "image.0", "unsupported_type"],
    size: ["BadRequestError", 400, "size", "invalid_value"],
    model: ["NotFoundError", 404, "model", "model_not_found"],
    token: ["AuthenticationError", 401, null, "invalid_api_key"],
  });
});
