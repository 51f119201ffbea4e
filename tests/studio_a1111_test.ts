/**
 * AUTOMATIC1111's operations: called by webuiapi as it is, and field by field.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { readPngText } from "../src/host/codecs/codec.ts";
import { type Client, withClient } from "./support/a1111_client.ts";
import { repositoryPath } from "./support/paths.ts";
import { PythonEnvironment } from "./support/python_environment.ts";
import { dataUrl, drawnPhoto, testStudio } from "./support/studio_server.ts";

const photo = dataUrl(drawnPhoto());

Deno.test("txt2img: that program's defaults, and the model's own size", async () => {
  await withClient({}, async (client) => {
    const { images, info } = await client.post("txt2img", {});
    const [settings] = client.settings;
    assertEquals(
      [settings.steps, settings.guidanceScale, settings.width, settings.height],
      [50, 7, 64, 64],
    );
    assertEquals(settings.idScale, 0, "no photo, nobody");
    const text = readPngText(Uint8Array.fromBase64(images[0]));
    const { seed, all_seeds, infotexts } = JSON.parse(info);
    assertEquals(text.seed, String(seed));
    assertEquals(all_seeds, [seed]);
    assertEquals(settings.promptSyntax, "a1111");
    assertMatch(
      infotexts[0],
      /Steps: 50, Sampler: Euler, CFG scale: 7, Seed: /,
    );
    await client.post("txt2img", { seed: -1 });
    assert(client.settings[1].seed !== seed, "-1 is random");
  });
});

Deno.test("txt2img: each image has a seed of its own", async () => {
  await withClient({}, async (client) => {
    const { images, info, parameters } = await client.post("txt2img", {
      prompt: "a man",
      seed: 7,
      batch_size: 2,
      n_iter: 2,
      steps: 2,
      masterweaver: { references: [photo], id_scale: 2 },
      override_settings: { samples_format: "jpg" },
    });
    assertEquals(images.length, 4);
    assertEquals(JSON.parse(info).all_seeds, [7, 8, 9, 10]);
    assertEquals(client.settings.map(({ seed }) => seed), [7, 8, 9, 10]);
    assertEquals(client.settings[0].idScale, 2);
    assertEquals([parameters.batch_size, parameters.n_iter], [2, 2]);
    assertEquals(parameters.masterweaver, undefined);
    const none = await client.post("txt2img", {
      send_images: false,
      steps: 2,
    });
    assertEquals(none.images, []);
  });
});

Deno.test("txt2img: seeds go on beyond what a number holds", async () => {
  await withClient({}, async (client) => {
    const { info } = await client.post("txt2img", {
      prompt: "a man",
      seed: Number.MAX_SAFE_INTEGER,
      n_iter: 3,
      steps: 1,
    });
    assertEquals(JSON.parse(info).all_seeds, [
      9007199254740991,
      "9007199254740992",
      "9007199254740993",
    ]);
  });
});

Deno.test("txt2img: photos as a script's arguments", async () => {
  await withClient({}, async (client) => {
    const base64 = drawnPhoto().toBase64();
    const scripts = [
      { args: [base64, photo] },
      { args: { references: [base64], id_scale: 1 } },
      { args: [{ references: photo, parse: false }] },
    ];
    for (const masterweaver of scripts) {
      await client.post("txt2img", {
        steps: 1,
        alwayson_scripts: {
          masterweaver,
          ControlNet: { args: [{ enabled: false }, null] },
          ADetailer: { args: [false] },
        },
      });
    }
    const jobs = [...client.studio.studio.jobs.all()];
    assertEquals(jobs.map(({ faces }) => faces.length), [2, 1, 1]);
    const { detail } = await client.bad("txt2img", {
      alwayson_scripts: { roop: { args: [{ enabled: true }] } },
    });
    assertMatch(detail[0].msg, /roop not found/);
  });
});

Deno.test("txt2img: refuses by name what would change the image", async () => {
  await withClient({}, async (client) => {
    const refused: Record<string, unknown> = {
      tiling: true,
      disable_extra_networks: true,
      restore_faces: true,
      subseed_strength: 0.5,
      seed_resize_from_h: 512,
      eta: 0.3,
      s_churn: 0.1,
      s_noise: 0.9,
      s_min_uncond: 1,
      refiner_checkpoint: "another",
      script_name: "X/Y/Z plot",
      styles: ["a style"],
      sampler_name: "DPM adaptive",
      scheduler: "Polyexponential",
      n_iter: 17,
      steps: "many",
      width: 63,
      masterweaver: { idScal: 1 },
      override_settings: { token_merging_ratio: 0.5 },
      prompt: "a".repeat(32_001),
    };
    for (const [name, value] of Object.entries(refused)) {
      const answer = await client.bad("txt2img", { [name]: value });
      assertEquals(answer.status, 422, name);
      const { loc, msg } = answer.detail[0];
      assertEquals(loc[0], "body");
      assert(`${loc} ${msg}`.includes(name), msg);
    }
    const odd = await client.bad("txt2img", {
      override_settings: { sd_model_checkpoint: { toString: 1 } },
    });
    assertEquals(odd.status, 404);
    const other = await client.bad("txt2img", {
      override_settings: { sd_model_checkpoint: "another" },
    });
    assertEquals([other.status, other.error], [404, "HTTPException"]);
    assertMatch(other.detail, /Model not found: another/);
  });
});

Deno.test("txt2img: takes what changes nothing, and says what it does not know", async () => {
  await withClient({}, async (client) => {
    const { info } = await client.post("txt2img", {
      prompt: "a (red:1.2) hat AND a coat, <lora:hats:1>",
      steps: 1,
      enable_hr: false,
      denoising_strength: 0.7,
      hr_upscaler: "Latent",
      hr_sampler_name: null,
      hr_prompt: "another",
      eta: 1,
      subseed: -1,
      s_churn: 0,
      s_noise: 1,
      sampler_index: "Euler a",
      sampler_name: "DDIM",
      scheduler: "automatic",
      seed_resize_from_w: -1,
      styles: [],
      save_images: true,
      do_not_save_grid: false,
      colour: "red",
      override_settings: { filter_nsfw: true, sd_vae: "Automatic" },
    });
    const warnings = JSON.parse(info).warnings.join("\n");
    assertMatch(warnings, /colour, override_settings.filter_nsfw/);
    assertMatch(warnings, /saves no images/);
    assertMatch(warnings, /plain words: "?AND"?$/m);
  });
});

Deno.test("txt2img: no request does harm, whatever its fields", async () => {
  const bugs: unknown[] = [];
  const onBug = (error: unknown) => bugs.push(error);
  await withClient({ onBug }, async (client) => {
    const huge = "x".repeat(10_000_000);
    const script = (...args: unknown[]) => ({ masterweaver: { args } });
    const unit = (name: string, value: unknown) => {
      const args = [{ model: "canny", image: photo, [name]: value }];
      return { controlnet: { args } };
    };
    const fields: Record<string, unknown[]> = {
      seed: [1e300, 2 ** 53, 1.5, "7"],
      steps: [0, -1, 1e9, true],
      cfg_scale: [-1, 1e9, "7"],
      width: [-64, 0, 65, 1e9],
      batch_size: [0, 1e9, 1e300],
      n_iter: [-1, 17],
      sampler_name: [huge, 3],
      prompt: [huge, 3, ["a"]],
      scheduler: [huge, 3],
      hr_upscaler: [huge, 3],
      "alwayson_scripts.controlnet.args.0": [
        unit("model", huge),
        ...["model", "module", "image", "control_mode", "weight"].map((name) =>
          unit(name, { toString: 1 })
        ),
      ],
      enable_hr: ["yes"],
      override_settings: [[], "x"],
      "alwayson_scripts.masterweaver.args.0": [
        script(3),
        script("rubbish"),
        script(huge),
        script("data:image/png,x"),
        script(""),
        script({ negative_prompt: huge }),
        script({ seed: huge }),
      ],
      "masterweaver.references": [
        { references: Array(20_000).fill(photo) },
        { references: "" },
        { references: [3] },
        { id_scale: 1 },
      ],
    };
    for (const [field, values] of Object.entries(fields)) {
      for (const value of values) {
        const body = { enable_hr: true, [field.split(".")[0]]: value };
        const { status, detail } = await client.bad("txt2img", body);
        assertEquals([status, detail[0].loc[0]], [422, "body"], field);
        const at = detail[0].loc.slice(1).join(".");
        assert(at.startsWith(field), `${at} is not ${field}`);
        assert(detail[0].msg.length < 300);
      }
    }
    const many = await client.bad("txt2img", {
      alwayson_scripts: script(...Array(20_000).fill(photo)),
    });
    assertMatch(many.detail[0].msg, /20000 reference photos/);
    for (const body of [null, [], "text", 3]) {
      const { detail } = await client.bad("txt2img", body);
      assertEquals(detail[0].loc, ["body"]);
    }
    assertEquals(client.settings, []);
    const prompt = "a\u0000b\ud800";
    for (const samples_format of ["png", "jpg"]) {
      const override_settings = { samples_format };
      const request = { prompt, steps: 1, colour: huge, override_settings };
      const { images, parameters } = await client.post("txt2img", request);
      assertEquals([images.length, parameters.colour], [1, undefined]);
    }
    assertEquals((await client.bad("nothing", {})).status, 404);
    assertMatch((await client.get("nothing")).detail, /openapi\.json lists/);
    const progress = await client.get("progress?skip_current_image=True");
    assertEquals(progress.progress, 0);
    assertEquals(bugs, []);
  });
});

Deno.test("skip leaves out an image, interrupt all that follow", async () => {
  await withClient({ stepTime: 5 }, async (client) => {
    const request = client.post("txt2img", {
      prompt: "a house",
      batch_size: 3,
      steps: 40,
    });
    await progressed(client, ({ state }) => state.sampling_step > 0);
    await client.post("skip", {});
    await progressed(client, ({ state }) => state.job_no === 2);
    await client.post("interrupt", {});
    const { images, info } = await request;
    assertEquals(images.length, 1);
    assertEquals(JSON.parse(info).interrupted, true);
    assertEquals(JSON.parse(info).infotexts.length, 1);
    const idle = await client.get("progress");
    assertEquals([idle.progress, idle.state.job_count], [0, 0]);
  });
});

/** Waits until progress is as expected. */
async function progressed(
  client: Client,
  // deno-lint-ignore no-explicit-any
  isExpected: (progress: any) => boolean,
): Promise<void> {
  for (const until = Date.now() + 10_000; Date.now() < until;) {
    const progress = await client.get("progress?skip_current_image=true");
    assertEquals(progress.current_image, null);
    if (isExpected(progress)) return;
  }
  throw new Error("No progress");
}

Deno.test("a client that leaves stops its images", async () => {
  await withClient({ stepTime: 10, keepAlive: 150 }, async (client) => {
    const leaving = new AbortController();
    // It settles when the answer begins, with the first steps.
    const response = await fetch(`${client.studio.url}/sdapi/v1/txt2img`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        prompt: "a house",
        batch_size: 3,
        steps: 1000,
      }),
      signal: leaving.signal,
    });
    leaving.abort();
    await assertRejects(() => response.text());
    for (const job of client.studio.studio.jobs.all()) {
      await job.ended;
      assertEquals(job.state, "cancelled");
    }
  });
});

Deno.test("options are what they are", async () => {
  await withClient({}, async (client) => {
    const options = await client.get("options");
    assertEquals(await client.post("options", options), null);
    const { detail } = await client.bad("options", { samples_format: "jpg" });
    assertMatch(detail[0].msg, /override_settings/);
    const gpu = { randn_source: "GPU", eta_ancestral: 1 };
    assertEquals(await client.post("options", gpu), null);
    for (
      const kept of [{ CLIP_stop_at_last_layers: 2 }, { randn_source: "CPU" }]
    ) {
      const { status, detail } = await client.bad("options", kept);
      assertEquals([status, detail[0].loc[1]], [422, Object.keys(kept)[0]]);
    }
    const other = { sd_model_checkpoint: "another" };
    assertEquals((await client.bad("options", other)).status, 404);
  });
});

const python = await PythonEnvironment.with("webuiapi==0.9.17");

python.test("PyPI webuiapi: images, progress, interrupt, lists, errors", async () => {
  await using studio = await testStudio({ token: "secret", stepTime: 2 });
  const { hostname, port } = new URL(studio.url);
  const out = JSON.parse(
    await python.run(
      repositoryPath("tests/support/clients/webuiapi_client.py"),
      hostname,
      port,
      "secret",
      drawnPhoto().toBase64(),
    ),
  );
  assertEquals(out.plain.sizes, [[64, 64]]);
  assertEquals(out.plain.info.sampler_name, "DDIM");
  const [plain] = studio.studio.jobs.all();
  assertEquals(plain.request.settings.eta, 1, "as that client asks for");
  assertEquals(out.person.sizes, Array(4).fill([128, 64]));
  assertEquals(out.person.texts, Array(4).fill("a man"));
  assertEquals(out.person.info.all_seeds, [7, 8, 9, 10]);
  assertEquals(out.person.parameters.cfg_scale, 3);
  const { request } = [...studio.studio.jobs.all()][1];
  assertEquals(
    [request.settings.rng, request.settings.idScale],
    ["torch-cpu", 0.5],
  );
  assert(0 < out.progress.progress && out.progress.progress < 1);
  assertEquals(out.progress.state.sampling_steps, 1000);
  assertMatch(out.progress.current_image, /^iVBOR/);
  assertEquals(out.interrupted.info.interrupted, true);
  assertEquals(out.idle.progress, 0);
  assertEquals(out.options.sd_model_checkpoint, "drawn [0000000000]");
  assertEquals([out.set, out.refreshed, out.skipped], [null, null, {}]);
  assertEquals(out.lists.samplers[0].name, "DDIM");
  assertEquals(out.lists.models[0].model_name, "drawn");
  assertEquals(out.lists.scripts.txt2img, ["masterweaver", "controlnet"]);
  assertEquals(
    out.lists.loras.map(({ name }: { name: string }) => name),
    ["ink", "watercolour"],
  );
  assertEquals(out["png info"].items.prompt, "a man");
  assertEquals(out.second.info.denoising_strength, 0.7);
  assertEquals(out.second.info.sampler_name, "DPM++ 2M");
  assertEquals(out.repainted.parameters.denoising_strength, 0.5);
  assertEquals(out.larger, [48, 48]);
  assertEquals(out.controlnet, [3, ["canny", "face"], [
    "none",
    "canny",
    "face",
  ]]);
  const { sampler, tiling, size, img2img, token } = out.errors;
  for (const [status] of [sampler, tiling, size, img2img]) {
    assertEquals(status, 422);
  }
  assertMatch(sampler[1].detail[0].msg, /must be a sampler's name/);
  assertMatch(img2img[1].detail[0].msg, /one image, got 2/);
  assertEquals(token[0], 401);
});
