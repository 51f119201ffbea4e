/// <reference lib="dom" />
/**
 * The page for everybody: by keyboard alone, on a telephone, in the dark, in
 * Chinese, and what a screen reader is told.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Page } from "./support/browser.ts";
import { table } from "../src/options/table.ts";
import {
  browserTest,
  choose,
  generate,
  image,
  pageTest,
  portrait,
  sharedPageFiles,
  unfold,
  visit,
} from "./support/studio_page.ts";
import { testStudio } from "./support/studio_server.ts";

const telephone = { viewport: { width: 390, height: 844 } };

/** Presses Tab until something has the focus. */
async function tabTo(page: Page, selector: string): Promise<void> {
  const target = page.locator(selector);
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    if (await target.evaluate((element) => element.matches(":focus"))) return;
  }
  throw new Error(`Sixty times Tab did not reach ${selector}`);
}

/** Whether something sticks out at the right. */
function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate("document.documentElement.scrollWidth > innerWidth");
}

pageTest("by keyboard alone", { stepTime: 5 }, async ({ page }) => {
  await page.getByText("Choose photos").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert(page.url().endsWith("#images"), "the first Tab skips to the images");
  await page.reload();
  await page.getByText("Choose photos").waitFor();
  const chooser = page.waitForEvent("filechooser");
  await tabTo(page, ".picker input");
  await page.keyboard.press("Enter");
  await (await chooser).setFiles(portrait(1));
  await page.getByAltText("Photo 1 as the encoder sees it").waitFor();
  await tabTo(page, "textarea.prompt");
  await page.keyboard.type("a man in the rain");
  await tabTo(page, "input[type=range][aria-label=Steps]");
  await page.keyboard.press("Home");
  await tabTo(page, "input[type=range][aria-label=Images]");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Control+Enter");
  const images = page.getByRole("button", { name: /^Open image/ });
  await images.nth(2).waitFor();
  assertEquals(await images.count(), 3);
  await page.getByText("Steps 20").waitFor();
  await tabTo(page, ".tile-open >> nth=0");
  await page.keyboard.press("Enter");
  await page.getByText("Image 1 of 3").waitFor();
  await page.keyboard.press("ArrowLeft");
  await page.getByText("Image 3 of 3").waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("Image 3 of 3").waitFor({ state: "detached" });
  await page.locator(".tile-open:focus").waitFor();
});

pageTest("a screen reader is told", {}, async ({ page }) => {
  await page.getByText("Choose photos").waitFor();
  // What it says is gone before a test could look.
  await page.evaluate(`
    globalThis.said = [];
    const announcer = document.querySelector("#announcer[role=status]");
    new MutationObserver(() => said.push(announcer.textContent))
      .observe(announcer, { subtree: true, characterData: true, childList: true });
  `);
  await page.getByRole("button", { name: /^Example: a woman in the snow/ })
    .click();
  await page.getByAltText("Image 2: a woman in the snow").waitFor();
  const said = await page.evaluate<string[]>("said");
  assert(said.includes("Step 25 of 50"), said.join(", "));
  assert(said.length < 20, "each quarter is enough");
  assertStringIncludes(said.at(-1)!, "4 images in");
});

pageTest("the form begins as the reference's does", {}, async ({ page }) => {
  const sliders = {
    Steps: [20, 100, 50],
    Images: [1, 4, 4],
    Guidance: [0.1, 10, 5],
    Identity: [0, 3, 0.9],
  };
  for (const [name, expected] of Object.entries(sliders)) {
    const slider = page.getByRole("slider", { name });
    const numbers = await slider.evaluate((input: HTMLInputElement) =>
      [input.min, input.max, input.value].map(Number)
    );
    assertEquals(numbers, expected, name);
  }
  const negative = page.getByRole("textbox", { name: "Negative prompt" });
  assert((await negative.inputValue()).startsWith("nsfw, low quality, "));
  assert(await page.getByRole("checkbox", { name: "Random" }).isChecked());
});

pageTest("each option has the table's help", {}, async (visit) => {
  const { page, shoot, assertAccessible } = visit;
  for (
    const group of ["photo", "prompt", "size", "sampling", "faster"] as const
  ) {
    await unfold(page, group);
  }
  const shown = ["align", "face", "clipSkip", "upscaleBy", "rng"] as const;
  await page.getByRole("combobox", { name: "Upscale the result" })
    .selectOption("sharp");
  for (const name of shown) {
    const [first, ...rest] = table[name].help;
    await page.locator(".fold").getByText(first.toUpperCase() + rest.join(""))
      .waitFor();
  }
  const steps = page.getByRole("textbox", { name: "Steps" });
  await steps.focus();
  await page.getByText("Denoising steps", { exact: true }).waitFor();
  await page.getByRole("combobox", { name: "Align faces" })
    .selectOption("true");
  const photo = page.locator("#fold-photo");
  await photo.getByText("1 changed").waitFor();
  // The model that draws has no landmarks.
  await page.getByText("sh tools/setup.sh --with-landmarks").waitFor();
  await shoot("more-options");
  await assertAccessible();
  await photo.getByRole("button", { name: "Back to the defaults" }).click();
  assertEquals(await photo.getByText("1 changed").count(), 0);
});

pageTest("at 390 pixels", telephone, async (visit) => {
  const { page, shoot, assertAccessible } = visit;
  await page.getByRole("heading", { name: "Examples" }).waitFor();
  assertEquals(await isTooWide(page), false);
  await shoot("telephone-empty", { fullPage: true });
  await choose(page, portrait(1));
  await generate(page);
  await image(page, 4).waitFor();
  assertEquals(await isTooWide(page), false);
  // The buttons stay in sight below the images.
  const button = page.getByRole("button", { name: "Generate" });
  const { y, height } = (await button.boundingBox())!;
  assert(y > 0 && y + height <= 844);
  await shoot("telephone-images");
  await shoot("telephone", { fullPage: true });
  await assertAccessible();
  await image(page, 1).click();
  await page.getByText("Image 1 of 4").waitFor();
  assertEquals(await isTooWide(page), false);
  await shoot("telephone-full-size");
});

pageTest("at 390 pixels, a mask is painted", telephone, async (visit) => {
  const { page, shoot, assertAccessible } = visit;
  await unfold(page, "start");
  await page.getByLabel("Choose an initial image").setInputFiles(portrait(1));
  await page.getByRole("button", { name: "Paint a mask" }).click();
  const canvas = page.locator(".mask-stage canvas");
  const { x, y, width, height } = (await canvas.boundingBox())!;
  assert(width > 200, `${width} pixels to paint on`);
  await page.mouse.click(x + width / 2, y + height / 2);
  await shoot("telephone-mask-editor");
  assertEquals(await isTooWide(page), false);
  await page.keyboard.press("Escape");
  // However it is closed, nothing is lost.
  await page.getByAltText("what is repainted is white").waitFor();
  for (const group of ["control", "lora", "size"] as const) {
    await unfold(page, group);
  }
  await page.getByRole("button", { name: "Add a ControlNet" }).click();
  await page.getByRole("button", { name: "Add a LoRA" }).click();
  assertEquals(await isTooWide(page), false);
  await shoot("telephone-form", { fullPage: true });
  await assertAccessible();
});

pageTest("in the dark", { colorScheme: "dark" }, async (visit) => {
  const { page, shoot, assertAccessible } = visit;
  await page.getByRole("heading", { name: "Examples" }).waitFor();
  await assertAccessible();
  await choose(page, portrait(1));
  await generate(page);
  await image(page, 4).waitFor();
  await page.getByAltText("Photo 1 as the encoder sees it").waitFor();
  await shoot("dark");
  await assertAccessible();
  const colour = () => page.evaluate("getComputedStyle(document.body).color");
  const dark = await colour();
  await page.getByRole("button", { name: "Colours: As the system" }).click();
  assert(await colour() !== dark, "light was chosen");
  await assertAccessible();
  await page.reload();
  await page.getByRole("button", { name: "Colours: Light" }).waitFor();
});

pageTest("in Chinese", { locale: "zh-CN" }, async (visit) => {
  const { page, shoot, assertAccessible } = visit;
  await page.getByRole("heading", { name: "示例" }).waitFor();
  await choose(page, portrait(1));
  await page.getByRole("button", { name: "生成" }).click();
  await page.getByRole("button", { name: "以完整尺寸打开图像 4" }).waitFor();
  await page.getByAltText("编码器看到的照片 1").waitFor();
  await shoot("chinese");
  await assertAccessible();
  await page.getByRole("combobox", { name: "语言" }).selectOption("English");
  await page.getByRole("button", { name: "Generate" }).waitFor();
  assertEquals(await page.getAttribute("html", "lang"), "en");
  await page.reload();
  await page.getByRole("button", { name: "Generate" }).waitFor();
});

browserTest("from another machine, with a token and without TLS", async () => {
  await using studio = await testStudio({
    page: sharedPageFiles(),
    token: "correct-horse",
    publicHosts: ["studio.test"],
  });
  const { port } = new URL(studio.url);
  const url = `http://studio.test:${port}`;
  await visit({ url }, async ({ page }) => {
    await page.getByText("This server wants its token").waitFor();
  });
  const path = "/login?token=correct-horse";
  await visit({ url, path }, async ({ page }) => {
    await choose(page, portrait(1));
    assertEquals(await page.evaluate("isSecureContext"), false);
    await generate(page);
    await image(page, 4).waitFor();
    await page.context().clearCookies();
    await generate(page);
    await page.getByText("This server wants its token").waitFor();
    await page.getByLabel("Token", { exact: true }).fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("That is not its token", { exact: true }).waitFor();
    await page.getByLabel("Token", { exact: true }).fill("correct-horse");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This server wants").waitFor({ state: "detached" });
    await generate(page);
    await image(page, 4).waitFor();
  });
});

Deno.test("the page allows itself nothing from elsewhere, and nothing inline", async () => {
  await using studio = await testStudio({ page: sharedPageFiles() });
  const { headers } = await fetch(studio.url, { method: "HEAD" });
  const policy = headers.get("content-security-policy")!;
  assertStringIncludes(policy, "default-src 'none'");
  assertStringIncludes(policy, "script-src 'self'");
  assertEquals(/unsafe|https?:|\*/.test(policy), false);
});
