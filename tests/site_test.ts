/**
 * The page that computes everything itself, in a Chromium whose WebGPU runs on
 * the CPU: what it makes, what it keeps, and that nothing leaves it.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readImage } from "../src/host/files.ts";
import { decodeImage } from "../src/host/codecs/decode_image.ts";
import { readPngText } from "../src/host/codecs/png_text.ts";
import type { Page } from "./support/browser.ts";
import { psnr } from "./support/compare.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import {
  fill,
  MODEL_BYTES,
  modelReady,
  siteTest,
  useAnyway,
} from "./support/site_page.ts";

const photo = repositoryPath("weights/mini/demo.png");

/** The demo's, in fewer steps. */
const settings = {
  prompt: "a photo of a smiling woman with red hair",
  negativePrompt: "",
  seed: 4,
  steps: 2,
};

/** Milliseconds for what is computed on the CPU, beside other tests. */
const COMPUTED = 120_000;

/** Puts the demo into the form. */
async function fillDemo(page: Page): Promise<void> {
  await page.locator(".picker input").setInputFiles([photo]);
  await fill(page, {
    "Prompt": settings.prompt,
    "Negative prompt": settings.negativePrompt,
    "Steps": String(settings.steps),
    "Images": "1",
    "Identity": "1",
  });
  await page.getByLabel("Random").uncheck();
  await fill(page, { "Seed": String(settings.seed) });
}

/** Waits for what a live region says of the run. */
async function said(page: Page, words: RegExp): Promise<void> {
  await page.locator("#announcer").filter({ hasText: words })
    .waitFor({ state: "attached", timeout: COMPUTED });
}

/** The file of the image that is shown. */
async function shownFile(page: Page): Promise<Uint8Array<ArrayBuffer>> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: /^Download/ }).first().click(),
  ]);
  return await Deno.readFile(await download.path());
}

siteTest(
  "site: makes the demo's image, stops, ends with its page, works offline",
  {},
  async ({ page, shoot, assertAccessible }, host) => {
    await useAnyway(page);
    await modelReady(page);
    // Few long requests: each byte once.
    assert(host.weights.length <= 10, `${host.weights.length} requests`);
    assertEquals(host.sent, MODEL_BYTES);
    await fillDemo(page);
    await page.getByRole("button", { name: /^Generate/ }).click();
    await said(page, /^1 image in/);
    await shoot("site-image");
    await assertAccessible();

    const file = await shownFile(page);
    const weaver = await miniWeaver("f32");
    const identity = await weaver.encodeIdentity([await readImage(photo)]);
    const { images } = await weaver.generate({ ...settings, identity });
    const text = readPngText(file);
    assertEquals(text.prompt, settings.prompt);
    assertEquals(text.seed, String(settings.seed));
    assertEquals(text.steps, String(settings.steps));
    assertEquals(text.model, "weights/mini");
    assertEquals(text.model_hash, weaver.hash);
    assertMatch(text.parameters, /Steps: 2/);
    const likeness = psnr(decodeImage(file, "made").data, images[0].data);
    assert(likeness >= 60, `${likeness} dB, with ${JSON.stringify(text)}`);

    await fill(page, { "Steps": "300" });
    await page.getByRole("button", { name: /^Generate/ }).click();
    await said(page, /^Step/);
    const before = performance.now();
    await page.getByRole("button", { name: "Stop" }).click();
    await said(page, /^Stopped$/);
    const milliseconds = performance.now() - before;
    assert(milliseconds < 6000, `stopped after ${milliseconds} ms`);

    await page.getByRole("button", { name: /^Generate/ }).click();
    await said(page, /^Step/);
    await page.reload();
    await said(page, /reloaded or closed while it made these images/);
    await shoot("site-reloaded");

    const { asked } = host;
    await host[Symbol.asyncDispose]();
    const count = asked.length;
    await page.reload();
    await modelReady(page);
    // The photo, the images and the model are here; the encoder looks again.
    await page.getByAltText("Photo 1 as the encoder sees it")
      .waitFor({ timeout: COMPUTED });
    await page.getByText("History").first().waitFor();
    await shoot("site-offline");
    assertEquals(asked.length, count);
  },
);
