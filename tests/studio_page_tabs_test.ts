/// <reference lib="dom" />
/**
 * What must not get lost on the page: finished images, running jobs and photos,
 * where several tabs are open, one is closed or hidden, or the connection breaks.
 */
import { assertEquals } from "@std/assert";
import type { Page } from "./support/browser.ts";
import {
  choose,
  forgetFiles,
  generate,
  image,
  kept,
  pageTest,
  portrait,
} from "./support/studio_page.ts";

/** Fills the form with a photo, a prompt and a number of steps. */
async function fill(
  page: Page,
  prompt: string,
  { steps = 2, photo = 3 } = {},
): Promise<void> {
  await choose(page, portrait(photo));
  await page.getByRole("textbox", { name: "Prompt", exact: true }).fill(prompt);
  await page.getByRole("textbox", { name: "Steps" }).fill(String(steps));
}

const finished = (page: Page) => image(page, 4).waitFor();

const removePhoto = (page: Page) =>
  page.getByRole("button", { name: "Remove photo 1" }).click();

/** Another tab of the same browser. */
async function newTab(page: Page, url: string): Promise<Page> {
  const tab = await page.context().newPage();
  await tab.goto(url);
  await tab.getByText(/^(Choose photos|Add a photo)$/).waitFor();
  return tab;
}

/** The states of the server's jobs, the newest first, as soon as they are as expected. */
async function waitForStates(url: string, expected: string[]): Promise<void> {
  let states: string[] = [];
  for (let i = 0; i < 100; i++) {
    const jobs: { state: string }[] = await (await fetch(`${url}/api/jobs`))
      .json();
    states = jobs.map(({ state }) => state);
    if (states.join() === expected.join()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assertEquals(states, expected);
}

/** A photo that is asked about, as JSON carries it. */
async function jpegUrl(photo: number): Promise<string> {
  const bytes = await Deno.readFile(portrait(photo));
  return `data:image/jpeg;base64,${bytes.toBase64()}`;
}

pageTest(
  "the photos of earlier images come back, whatever other tabs do",
  {},
  async ({ page, url }) => {
    await fill(page, "somebody", { photo: 2 });
    const other = await newTab(page, url);
    await removePhoto(other);
    await choose(other, portrait(4));
    await kept(other, portrait(4));
    await other.reload();
    await other.getByAltText("Photo 1", { exact: true }).waitFor();
    await generate(page);
    await finished(page);
    await removePhoto(page);
    await choose(page, portrait(1));
    const expected = await jpegUrl(2);
    const asked = page.waitForRequest((request) =>
      request.url().endsWith("/api/identities") &&
      request.postDataJSON().references[0] === expected
    );
    const again = page.getByRole("button", { name: "These settings again" });
    await again.click();
    await asked;
    // Where they are gone, nobody else's are left in their place.
    await forgetFiles(page);
    await again.click();
    await page.getByText("This browser does not have the photo").waitFor();
    assertEquals(await page.locator(".photo").count(), 0);
  },
);

pageTest(
  "each tab keeps its own job; that of a closed tab is taken up",
  { stepTime: 20 },
  async ({ page, url }) => {
    // Long enough to be seen at work by a browser on a busy machine.
    await fill(page, "the first", { steps: 100 });
    const other = await newTab(page, url);
    await other.getByRole("textbox", { name: "Prompt", exact: true })
      .fill("the second");
    await other.getByRole("textbox", { name: "Steps" }).fill("300");
    await generate(page);
    await page.getByText(/^Step \d+ of 100$/).first().waitFor();
    await generate(other);
    await finished(page);
    await other.reload();
    await other.getByText(/^Step \d+ of 300$/).first().waitFor();
    await other.close();
    const third = await newTab(page, url);
    await third.getByText(/^Step \d+ of 300$/).first().waitFor();
    await finished(third);
    await third.getByRole("button", { name: /^the first, / }).waitFor();
    await third.getByRole("button", { name: /^the second, / }).waitFor();
  },
);

pageTest(
  "finished images survive a broken download",
  {},
  async ({ page }) => {
    let count = 0;
    await page.route(
      "**/images/*",
      (route) =>
        count++ === 1 ? route.abort("connectionreset") : route.continue(),
    );
    await fill(page, "a blip");
    await generate(page);
    await finished(page);
    assertEquals(count, 5, "four images, one of them twice");
  },
);

pageTest(
  "a job whose answer is lost is followed, and not sent twice",
  {},
  async ({ page, url }) => {
    await page.route("**/api/generate", async (route) => {
      await route.fetch();
      await route.abort("connectionreset");
    }, { times: 1 });
    await fill(page, "a lost answer");
    await generate(page);
    await finished(page);
    await waitForStates(url, ["done"]);
  },
);

pageTest(
  "Stop stops a job that is being sent, even where the tab is closed",
  { stepTime: 50 },
  async ({ page, url }) => {
    const tab = await newTab(page, url);
    const answered = Promise.withResolvers<void>();
    await tab.route("**/api/generate", async (route) => {
      await route.fetch();
      answered.resolve();
      // The answer never comes.
    });
    await fill(tab, "not wanted any more", { steps: 200 });
    await generate(tab);
    await answered.promise;
    await tab.getByRole("button", { name: "Stop" }).click();
    await tab.getByText("Stopping …").first().waitFor();
    await tab.close();
    await waitForStates(url, ["cancelled"]);
    await page.reload();
    await page.locator("#announcer", { hasText: "Stopped" }).waitFor();
  },
);

pageTest(
  "a hidden tab holds no connection, and goes on when it is shown",
  { stepTime: 30 },
  async ({ page }) => {
    await fill(page, "a walk in the hills", { steps: 150 });
    await page.getByAltText("Photo 1 as the encoder sees it").waitFor();
    const show = (isShown: boolean) =>
      page.evaluate((isShown) => {
        Object.defineProperty(document, "hidden", {
          configurable: true,
          value: !isShown,
        });
        document.dispatchEvent(new Event("visibilitychange"));
      }, isShown);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await generate(page);
    await page.getByText(/^Step \d+ of 150$/).first().waitFor();
    const left = page.waitForEvent(
      "requestfailed",
      (request) => request.url().endsWith("/events"),
    );
    await show(false);
    await left;
    // The encoder waits for the job, and so would a connection.
    await choose(page, portrait(1));
    const resumed = page.waitForRequest(/\/events$/);
    await show(true);
    const { "last-event-id": last } = (await resumed).headers();
    assertEquals(Number(last) > 0, true);
    assertEquals(asked.some((url) => url.endsWith("/identities")), false);
    await finished(page);
    await page.getByAltText("Photo 2 as the encoder sees it").waitFor();
  },
);
