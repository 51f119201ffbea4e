/**
 * The page with the model of this repository, served by the command: what it
 * shows while images are made, and that they are the command's.
 */
import { assert, assertEquals } from "@std/assert";
import { readImage, readPngSettings } from "../src/host/files.ts";
import { findChromium } from "./support/browser.ts";
import { command } from "./support/command.ts";
import { gpuTest } from "./support/gpu.ts";
import { LineProcess } from "./support/line_process.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  choose,
  generate,
  image,
  portrait,
  visit,
} from "./support/studio_page.ts";

const prompt = "a photo of a woman with red hair";
const negativePrompt = "low quality, text";
const seed = "18446744073709551615";
const steps = 3;

/** The same image by the command. */
async function byCommand(output: string): Promise<void> {
  const { code, err } = await command([
    ["--ref", portrait(4)],
    ["--prompt", prompt],
    ["--negative-prompt", negativePrompt],
    ["--seed", seed],
    ["--steps", String(steps)],
    ["--id-scale", "0.9"],
    ["--output", output],
  ].flat());
  assertEquals(code, 0, err.join("\n"));
}

gpuTest("an image of the page is the command's", async () => {
  const folder = await Deno.makeTempDir();
  const expected = `${folder}/command.png`, downloaded = `${folder}/page.png`;
  const made = byCommand(expected);
  const serve = ["run", "-A", repositoryPath("mod.ts"), "serve", "--port", "0"];
  await using server = new LineProcess(serve);
  const line = await server.line(/^Studio: /);
  const url = line.replace(/^Studio: (.*)\/$/, "$1");
  await visit({ url }, async ({ page, shoot }) => {
    await choose(page, portrait(4));
    const box = (name: string) =>
      page.getByRole("textbox", { name, exact: true });
    await box("Prompt").fill(prompt);
    await box("Negative prompt").fill(negativePrompt);
    await box("Steps").fill(String(steps));
    await box("Images").fill("1");
    await box("Seed").fill(seed);
    await page.keyboard.press("Control+Enter");
    const preview = page.getByAltText("Preview of image 1");
    await preview.waitFor({ timeout: 60_000 });
    assert((await preview.getAttribute("src"))!.startsWith("data:image/png"));
    await image(page, 1).waitFor();
    await page.getByAltText("Processed face 1").waitFor();
    await shoot("mini-model");
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download image 1" }).click();
    const file = await download;
    assertEquals(
      file.suggestedFilename(),
      `masterweaver-${seed}-a-photo-of-a-woman-with-red-hair.png`,
    );
    await file.saveAs(downloaded);
    await box("Steps").fill("100");
    await generate(page);
    await preview.waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator("#announcer", { hasText: "Stopped" }).waitFor();
    await box("Prompt").fill("something else");
    await choose(page, downloaded);
    await page.getByText("This image carries the settings").waitFor();
    await page.locator(".photo").getByText("These settings again").click();
    assertEquals(await box("Prompt").inputValue(), prompt);
    assertEquals(await box("Steps").inputValue(), String(steps));
  });
  assertEquals(await server.end("SIGTERM"), 0, server.lines.join("; "));
  await made;
  const [page, other] = [
    await readImage(downloaded),
    await readImage(expected),
  ];
  assertEquals(page.width, 128);
  assert(page.data.every((value, i) => value === other.data[i]));
  const settings = await readPngSettings(downloaded);
  assertEquals(settings, await readPngSettings(expected));
  await Deno.remove(folder, { recursive: true });
}, findChromium() === undefined);
