/**
 * What the page does while images are made, with an engine that draws: progress,
 * Stop, errors, a server that goes away, a reload; and what it keeps.
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Page } from "./support/browser.ts";
import {
  browserTest,
  choose,
  generate,
  image,
  pageTest,
  portrait,
  sharedPageFiles,
  visit,
} from "./support/studio_page.ts";
import {
  dataUrl,
  drawnPhoto,
  postJson,
  testStudio,
} from "./support/studio_server.ts";

/** Fills the form with a photo, a prompt and a few steps. */
async function fill(page: Page, prompt: string, steps: number): Promise<void> {
  await choose(page, portrait(3));
  await page.getByRole("textbox", { name: "Prompt", exact: true }).fill(prompt);
  await page.getByRole("textbox", { name: "Steps" }).fill(String(steps));
  await page.getByAltText("Photo 1 as the encoder sees it").waitFor();
}

pageTest(
  "progress and previews are seen, and Stop stops",
  { stepTime: 40 },
  async ({ page, shoot, assertAccessible }) => {
    await fill(page, "a woman in the snow", 400);
    await generate(page);
    await page.getByAltText("Preview of image 4").waitFor();
    await page.getByText(/^Step \d+ of 400$/).first().waitFor();
    await page.getByText(/\d+ s left/).waitFor();
    const bar = page.getByRole("progressbar", { name: "Progress" });
    assert(Number(await bar.getAttribute("value")) > 0);
    await shoot("generating");
    await assertAccessible();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("#announcer", { hasText: "Stopped" }).waitFor();
    assertEquals(await bar.count(), 0);
    await page.getByAltText("Preview of image 1").waitFor();
  },
);

pageTest(
  "an error is shown, and the next attempt works",
  { failsFor: "a storm" },
  async ({ page, shoot, assertAccessible }) => {
    await fill(page, "a storm", 2);
    await generate(page);
    await page.getByText("The GPU refused a command").first().waitFor();
    await shoot("error");
    await assertAccessible();
    await page.getByRole("textbox", { name: "Prompt", exact: true })
      .fill("a calm");
    await page.getByRole("button", { name: "Try again" }).click();
    await image(page, 4).waitFor();
    assertEquals(await page.getByText("The GPU refused a command").count(), 0);
  },
);

pageTest("what is missing or wrong is said", {}, async ({ page, shoot }) => {
  await page.getByText("Choose photos").waitFor();
  await page.getByText("the images show nobody in particular").waitFor();
  await fill(page, "a man", 2);
  await page.getByRole("textbox", { name: "Guidance" }).fill("much");
  await page.getByText(/^A number in /).waitFor();
  const width = page.getByRole("textbox", { name: "Width" });
  await width.fill("63");
  const described = await width.getAttribute("aria-describedby");
  await page.locator(`[id="${described}"]`, { hasText: "A multiple of 4" })
    .waitFor();
  await generate(page);
  await page.getByText("Correct the marked fields first").waitFor();
  await shoot("wrong-fields");
  await page.getByRole("textbox", { name: "Guidance" }).fill("");
  await width.fill("32");
  const prompt = page.getByRole("textbox", { name: "Prompt", exact: true });
  await prompt.fill("人".repeat(10_001));
  await page.getByText("At most 10000 characters; this has 10001").waitFor();
  await prompt.fill("a man");
  // Pasted with a blank.
  await page.getByRole("textbox", { name: "Seed" })
    .fill("18446744073709551615 ");
  await generate(page);
  await image(page, 4).waitFor();
  await page.getByText("32 × 64").waitFor();
});

pageTest(
  "a reload in the middle of a job picks it up again",
  { stepTime: 30 },
  async ({ page }) => {
    await fill(page, "a woman in the snow", 60);
    await generate(page);
    await page.getByText(/^Step \d+ of 60$/).first().waitFor();
    await page.reload();
    await page.getByText(/^Step \d+ of 60$/).first().waitFor();
    await image(page, 4).waitFor();
    await page.getByAltText("Photo 1", { exact: true }).waitFor();
  },
);

pageTest(
  "a place in the queue is waited for, and a full one, too",
  { stepTime: 50, maxWaiting: 1 },
  async ({ page, url, shoot }) => {
    const references = [dataUrl(drawnPhoto())];
    const post = async () => {
      const body = { references, prompt: "another", steps: 150 };
      const response = await postJson(`${url}/api/generate`, body);
      assertEquals(response.status, 202, await response.text());
    };
    await fill(page, "a man", 2);
    await post();
    await page.route(
      "**/api/health",
      (route) => route.fulfill({ json: { workers: 0 } }),
    );
    await generate(page);
    await page.getByText("1 job before yours").first().waitFor();
    await page.getByText("No worker is there").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("#announcer", { hasText: "Stopped" }).waitFor();
    await post();
    await generate(page);
    await page.getByText(/^The queue is full. Trying again in \d+ s$/)
      .waitFor();
    await shoot("queue-full");
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("#announcer", { hasText: "Stopped" }).waitFor();
  },
);

browserTest(
  "a server that goes away and comes back is waited for",
  async () => {
    const page = sharedPageFiles();
    const first = await testStudio({ page });
    const { port } = new URL(first.url);
    await visit({ url: first.url }, async ({ page: tab, shoot }) => {
      await fill(tab, "a man", 2);
      await first.shutdown(0);
      await generate(tab);
      await tab.getByText("The server does not answer. Trying again …")
        .waitFor();
      await shoot("server-gone");
      await using _ = await testStudio({ page, port: Number(port) });
      // What was asked for meanwhile is made.
      await image(tab, 4).waitFor();
    });
  },
);

pageTest(
  "an example is one click; its settings can be had again",
  {},
  async ({ page }) => {
    await page.getByRole("button", { name: "Example: a woman in the snow" })
      .click();
    await image(page, 4).waitFor();
    const prompt = page.getByRole("textbox", { name: "Prompt", exact: true });
    assertEquals(await prompt.inputValue(), "a woman in the snow");
    await prompt.fill("something else");
    await page.getByRole("button", { name: "Remove photo 1" }).click();
    await page.getByRole("button", { name: "These settings again" }).click();
    await page.getByAltText("Photo 1", { exact: true }).waitFor();
    assertEquals(await prompt.inputValue(), "a woman in the snow");
    assertEquals(
      await page.getByRole("textbox", { name: "Seed" }).inputValue(),
      "42",
    );
    assertEquals(
      await page.getByRole("checkbox", { name: "Random" }).isChecked(),
      false,
    );
  },
);

pageTest(
  "the history survives a reload; two of its images are compared",
  {},
  async ({ page, shoot, assertAccessible }) => {
    await fill(page, "a red house", 2);
    const seed = page.getByRole("textbox", { name: "Seed" });
    await generate(page);
    await image(page, 4).waitFor();
    const first = await seed.inputValue();
    await page.getByRole("textbox", { name: "Prompt", exact: true })
      .fill("a blue house");
    await generate(page);
    await page.getByRole("button", { name: /^a blue house, / }).waitFor();
    await image(page, 4).waitFor();
    assertNotEquals(await seed.inputValue(), first);
    await page.reload();
    await image(page, 4).waitFor();
    await shoot("history", { fullPage: true });
    await page.getByRole("button", { name: "Compare image 1" }).click();
    await page.getByText("Now choose the other image").waitFor();
    await page.getByRole("button", { name: /^a red house, / }).click();
    await page.getByText(`Seed ${first}`).waitFor();
    await page.getByRole("button", { name: "Compare with image 2" }).click();
    const slider = page.getByRole("slider", { name: "How much of each image" });
    await slider.focus();
    await page.keyboard.press("ArrowRight");
    assertEquals(await slider.inputValue(), "51");
    await page.getByRole("cell", { name: "a blue house" }).waitFor();
    await page.getByRole("cell", { name: "a red house" }).waitFor();
    await shoot("compare");
    await assertAccessible();
    await page.keyboard.press("Escape");
    await slider.waitFor({ state: "detached" });
    await image(page, 2).click();
    await page.getByText("Image 2 of 4").waitFor();
    await page.keyboard.press("ArrowRight");
    await page.getByText("Image 3 of 4").waitFor();
    await shoot("full-size");
    await page.keyboard.press("Escape");
    const remove = page.getByRole("button", { name: "Delete", exact: true });
    await remove.click();
    await page.getByText("Delete 4 images?").waitFor();
    await page.locator("button:focus", { hasText: "Keep" }).press("Escape");
    await page.locator("button:focus", { hasText: "Delete" }).click();
    await remove.click();
    const entry = page.getByRole("button", { name: /^a red house, / });
    await entry.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Delete all" }).click();
    await page.getByText("Delete 1 entry with all images?").waitFor();
    await remove.last().click();
    await page.getByText("History").waitFor({ state: "detached" });
    await page.reload();
    await page.getByText("Add a photo").waitFor();
    assertEquals(await page.getByText("History").count(), 0);
  },
);
