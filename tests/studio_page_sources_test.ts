/// <reference lib="dom" />
/**
 * What images of the page are made from besides a person: nothing, an initial
 * image with a painted mask, ControlNets, LoRAs; and that all of it is remembered.
 */
import { assert, assertEquals } from "@std/assert";
import { sha256 } from "../src/base/sha256.ts";
import { encodePng } from "../src/host/codecs/codec.ts";
import { decodeImage } from "../src/host/codecs/decode_image.ts";
import type { ImageTask } from "../src/studio/engine/engine.ts";
import type { Page } from "./support/browser.ts";
import { DrawingEngine } from "./support/drawing_engine.ts";
import {
  forgetFiles,
  generate,
  image,
  kept,
  pageTest,
  portrait,
  unfold,
} from "./support/studio_page.ts";
import { drawnPhoto } from "./support/studio_server.ts";

/** Fills the form so that one image takes no time. */
async function fill(page: Page, prompt: string): Promise<void> {
  const box = (name: string) =>
    page.getByRole("textbox", { name, exact: true });
  await box("Prompt").fill(prompt);
  await box("Steps").fill("4");
  await box("Images").fill("1");
}

/** Makes an image, and tells what the engine was asked for. */
async function made(page: Page, engine: DrawingEngine): Promise<ImageTask> {
  await generate(page);
  await page.locator("#announcer", { hasText: /^1 image in/ })
    .waitFor({ state: "attached" });
  await image(page, 1).waitFor();
  return engine.lastTask!;
}

/** Chooses the image to start from. */
async function chooseInitial(page: Page, file = portrait(2)): Promise<void> {
  await unfold(page, "start");
  await page.getByLabel("Choose an initial image").setInputFiles(file);
  await page.getByAltText("The initial image", { exact: true }).waitFor();
}

{
  const engine = new DrawingEngine();
  pageTest("without a photo, images show nobody", { engine }, async (visit) => {
    const { page, shoot } = visit;
    await page.getByText("the images show nobody in particular").waitFor();
    await fill(page, "a lighthouse");
    const { person, settings, sources } = await made(page, engine);
    assertEquals(person, null);
    assertEquals(settings.idScale, 0);
    assertEquals(sources, { controls: [] });
    await shoot("nobody");
    assertEquals(await page.getByText("Identity 0").count(), 0);
    // The next person is followed as before.
    await page.getByRole("button", { name: "These settings again" }).click();
    assertEquals(
      await page.getByRole("textbox", { name: "Identity" }).inputValue(),
      "0.9",
    );
  });
}

{
  const engine = new DrawingEngine({ isPlain: true });
  pageTest("a model that follows nobody asks for no photos", { engine }, async (
    visit,
  ) => {
    const { page, shoot, assertAccessible } = visit;
    await page.getByText("A prompt, and an image of it").waitFor();
    for (const name of ["Who", "Examples", "Photo options"]) {
      assertEquals(await page.getByText(name, { exact: true }).count(), 0);
    }
    assertEquals(
      await page.getByRole("slider", { name: "Identity" }).count(),
      0,
    );
    await fill(page, "a lighthouse");
    assertEquals((await made(page, engine)).person, null);
    await shoot("plain-model");
    await assertAccessible();
  });
}

{
  const engine = new DrawingEngine();
  pageTest(
    "a mask is painted over an initial image, and outlives a reload",
    { engine },
    async ({ page, shoot, assertAccessible }) => {
      await fill(page, "a red door");
      await chooseInitial(page);
      assertEquals(await page.getByLabel("Mask blur").count(), 0);
      await page.getByRole("button", { name: "Paint a mask" }).click();
      await paint(page);
      await shoot("mask-editor");
      await assertAccessible();
      await page.getByRole("button", { name: "Done" }).click();
      await page.getByAltText("what is repainted is white").waitFor();
      await page.getByRole("textbox", { name: "Strength" }).fill("0.5");
      await page.getByLabel("Mask blur").fill("4");
      await page.getByLabel("Under the mask").selectOption("blurred colours");
      await page.getByLabel("Left", { exact: true }).fill("64");
      await shoot("start-from-an-image", { fullPage: true });
      await assertAccessible();
      await kept(page, portrait(2));
      await page.reload();
      const { settings, sources } = await made(page, engine);
      const { strength, maskBlur, maskFill, outpaint } = settings;
      assertEquals(
        { strength, maskBlur, maskFill, outpaint },
        { strength: 0.5, maskBlur: 4, maskFill: "blur", outpaint: "left=64" },
      );
      const file = await Deno.readFile(portrait(2));
      assertEquals(sources.initImage?.hash, await sha256(file));
      assertMask(sources.mask!.bytes, file);
      await unfold(page, "start");
      await page.getByRole("button", { name: "Remove the initial image" })
        .click();
      assertEquals(await page.getByLabel("Mask blur").count(), 0);
      await page.getByRole("button", { name: "These settings again" }).click();
      await page.getByAltText("what is repainted is white").waitFor();
      assertEquals(
        await page.getByRole("textbox", { name: "Strength" }).inputValue(),
        "0.5",
      );
    },
  );
}

/** Paints a line through the middle, and one more that is taken back. */
async function paint(page: Page): Promise<void> {
  const canvas = page.locator(".mask-stage canvas");
  const { x, y, width, height } = (await canvas.boundingBox())!;
  const stroke = async (at: number) => {
    await page.mouse.move(x + width * 0.4, y + height * at);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.6, y + height * at, { steps: 4 });
    await page.mouse.up();
  };
  await stroke(0.5);
  await stroke(0.1);
  await page.getByRole("button", { name: "Undo" }).click();
}

/** The mask is as large as the image, white in the middle and black elsewhere. */
function assertMask(bytes: Uint8Array, initial: Uint8Array): void {
  const mask = decodeImage(bytes, "mask");
  const { width, height } = decodeImage(initial, "initial");
  assertEquals([mask.width, mask.height], [width, height]);
  const at = (x: number, y: number) =>
    mask.data[
      4 *
      (Math.floor(y * mask.height) * mask.width + Math.floor(x * mask.width))
    ];
  assertEquals([at(0.5, 0.5), at(0.5, 0.1), at(0.02, 0.98)], [255, 0, 0]);
}

{
  const engine = new DrawingEngine();
  pageTest("a finished image is gone on from", { engine }, async (visit) => {
    const { page, shoot } = visit;
    await fill(page, "a lighthouse");
    await page.getByRole("textbox", { name: "Width" }).fill("96");
    await made(page, engine);
    await image(page, 1).click();
    await page.getByRole("button", { name: "Start from it" }).last().click();
    await page.getByAltText("The initial image", { exact: true }).waitFor();
    await page.getByRole("textbox", { name: "Width" }).fill("");
    await page.getByText("Its 96 × 64 pixels are squeezed to 64 × 64")
      .waitFor();
    await page.getByRole("button", { name: "Make 96 × 64" }).click();
    await shoot("start-from-it");
    const { settings, sources } = await made(page, engine);
    assertEquals([settings.width, settings.height], [96, 64]);
    assertEquals(settings.strength, 0.8);
    assert(sources.initImage);
  });
}

{
  const engine = new DrawingEngine();
  pageTest(
    "ControlNets, LoRAs and a second pass",
    { engine },
    async (visit) => {
      const { page, shoot, assertAccessible } = visit;
      await fill(page, "a (red:1.2) door");
      await unfold(page, "control");
      await page.getByRole("button", { name: "Add a ControlNet" }).click();
      await generate(page);
      await page.getByText("Correct the marked fields first").waitFor();
      const row = page.getByRole("group", { name: "ControlNet 1" });
      await row.getByRole("combobox", { name: "ControlNet 1" })
        .selectOption("canny");
      await row.getByLabel("Image of ControlNet 1").setInputFiles(portrait(1));
      await row.getByRole("textbox", { name: "Scale" }).fill("0.7");
      await row.getByRole("textbox", { name: "To" }).fill("0.5");
      await row.getByLabel("Make of the image").selectOption("edges (Canny)");
      await page.getByLabel("Guess mode").selectOption("yes");
      await unfold(page, "lora");
      await page.getByRole("button", { name: "Add a LoRA" }).click();
      await page.getByRole("combobox", { name: "LoRA 1" })
        .selectOption("watercolour");
      const strength = page.getByRole("textbox", {
        name: "Strength of LoRA 1",
      });
      await strength.fill("-");
      await page.getByText("Strength: a number in −100–100").waitFor();
      await strength.fill("-0.4");
      await unfold(page, "prompt");
      await page.getByLabel("Prompt syntax")
        .selectOption("as in AUTOMATIC1111");
      await page.getByText("easynegative").waitFor();
      await unfold(page, "size");
      await page.getByLabel("Second pass, times").fill("2");
      await page.getByLabel("Enlarged by").selectOption("sharp");
      await page.getByRole("textbox", { name: "Strength of the second pass" })
        .fill("0.6");
      await shoot("control-lora-size", { fullPage: true });
      await assertAccessible();
      await kept(page, portrait(1));
      await page.reload();
      const { settings, sources } = await made(page, engine);
      const [{ image: seen, ...control }, ...more] = sources.controls;
      assertEquals(control, {
        name: "canny",
        scale: 0.7,
        start: 0,
        end: 0.5,
        preprocess: "canny",
      });
      assertEquals(more, []);
      assertEquals(seen.hash, await sha256(await Deno.readFile(portrait(1))));
      const { guessMode, lora, promptSyntax } = settings;
      assertEquals(
        { guessMode, lora, promptSyntax },
        { guessMode: true, lora: "watercolour=-0.4", promptSyntax: "a1111" },
      );
      const { hiresScale, hiresUpscaler, hiresStrength } = settings;
      assertEquals(
        { hiresScale, hiresUpscaler, hiresStrength },
        { hiresScale: 2, hiresUpscaler: "sharp", hiresStrength: 0.6 },
      );
    },
  );
}

/** Drops a file on something. */
async function drop(
  page: Page,
  selector: string,
  file: Uint8Array,
): Promise<void> {
  const dataTransfer = await page.evaluateHandle((bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
    return data;
  }, [...file]);
  await page.dispatchEvent(selector, "drop", { dataTransfer });
}

pageTest(
  "a run whose initial image is gone says so, and makes no other image",
  {},
  async ({ page, url }) => {
    await fill(page, "a red door");
    await chooseInitial(page);
    await kept(page, portrait(2));
    await page.route(
      "**/api/generate",
      (route) => route.abort("connectionreset"),
    );
    const tried = page.waitForRequest("**/api/generate");
    await generate(page);
    await tried;
    await forgetFiles(page);
    await page.unroute("**/api/generate");
    await page.reload();
    await page.getByRole("alert")
      .getByText("is not kept in this browser any more").waitFor();
    assertEquals(await (await fetch(`${url}/api/jobs`)).json(), []);
  },
);

{
  const engine = new DrawingEngine({ isPlain: true });
  pageTest("a dropped image is started from, or repeated", { engine }, async (
    { page },
  ) => {
    await page.getByText("A prompt, and an image of it").waitFor();
    const file = encodePng(
      { width: 16, height: 16, data: new Uint8ClampedArray(1024).fill(90) },
      { prompt: "a quiet room", steps: "3", seed: "9" },
    );
    await drop(page, "body", file);
    await page.getByAltText("The initial image", { exact: true }).waitFor();
    await page.getByRole("button", { name: "These settings again" }).click();
    await page.getByText("The form has these settings now").waitFor();
    assertEquals(
      await page.getByRole("textbox", { name: "Prompt", exact: true })
        .inputValue(),
      "a quiet room",
    );
    assertEquals(await page.getByAltText("The initial image").count(), 0);
  });
}

pageTest(
  "an image fills the form with all that made it, and says what is missing",
  {},
  async ({ page, shoot }) => {
    const data = new Uint8ClampedArray(16 * 16 * 4).fill(200);
    const file = encodePng({ width: 16, height: 16, data }, {
      prompt: "a [blue:red:0.5] door",
      steps: "7",
      seed: "12",
      prompt_syntax: "a1111",
      strength: "0.6",
      mask_blur: "3",
      lora: "ink=0.5;gone",
      hires_scale: "1.5",
      init_image: "room.png",
      init_image_hash: await sha256(drawnPhoto(40)),
      mask_hash: "0".repeat(64),
      controlnet: "canny,lines",
      control_scale: "0.5",
      control_range: "0,0.5,0.25,1",
      control_image_hashes: `${"1".repeat(64)},${"2".repeat(64)}`,
      reference_hashes: "3".repeat(64),
    });
    // The browser still has the image that it started from.
    await page.getByText("Choose photos").waitFor();
    await drop(page, "#fold-start > summary", drawnPhoto(40));
    await page.getByAltText("The initial image", { exact: true }).waitFor();
    assertEquals(await page.locator(".photo").count(), 0);
    await drop(page, "body", file);
    await page.getByRole("button", { name: "These settings again" }).click();
    await page.getByText("The form has these settings now").waitFor();
    const note = page.locator(".filled");
    assertEquals(
      await note.innerText(),
      "The form has these settings now. This browser does not have the photo, the mask and 2 control images: add them again. There is no LoRA gone here. There is no ControlNet lines here",
    );
    await page.getByAltText("The initial image", { exact: true }).waitFor();
    const value = (name: string) =>
      page.getByRole("textbox", { name, exact: true }).inputValue();
    assertEquals(await value("Prompt"), "a [blue:red:0.5] door");
    assertEquals(await value("Strength"), "0.6");
    await unfold(page, "lora");
    assertEquals(await value("Strength of LoRA 1"), "0.5");
    assertEquals(await value("Strength of LoRA 2"), "1");
    await unfold(page, "control");
    const second = page.getByRole("group", { name: "ControlNet 2" });
    assertEquals(
      await second.getByRole("textbox", { name: "From" }).inputValue(),
      "0.25",
    );
    assertEquals(await page.locator(".photo").count(), 0);
    await shoot("png-filled", { fullPage: true });
  },
);
