/**
 * Photos in the page that computes everything itself: decoded to the command's
 * pixels, written again without a loss, and aligned where somebody picks the
 * landmarks.
 */
import { assert, assertEquals } from "@std/assert";
import { encodePng } from "../src/host/codecs/codec.ts";
import { decodeImage } from "../src/host/codecs/decode_image.ts";
import { readPngText } from "../src/host/codecs/png_text.ts";
import { writePng } from "../src/site/png_write.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  modelReady,
  pickLandmarks,
  siteTest,
  useAnyway,
} from "./support/site_page.ts";
import { unfold } from "./support/studio_page.ts";

const photo = repositoryPath("weights/mini/demo.png");

Deno.test("site photos: a PNG that it writes has the pixels and texts it was given", async () => {
  const files = [photo, repositoryPath("src/studio/page/portraits/2.jpg")];
  for (const path of files) {
    const image = decodeImage(await Deno.readFile(path), path);
    const texts = { prompt: "a café, 雪", steps: "3" };
    const file = await writePng(image, texts);
    assertEquals(decodeImage(file, "written"), image);
    assertEquals(readPngText(file), texts);
    const { length } = encodePng(image, texts);
    assert(file.length < 1.1 * length, `${file.length} bytes, not ${length}`);
  }
});

siteTest(
  "site photos: faces are aligned with landmarks that were picked",
  {},
  async ({ page, shoot }) => {
    await useAnyway(page);
    await modelReady(page);
    await page.locator(".picker input").setInputFiles([photo]);
    const view = page.getByAltText("Photo 1 as the encoder sees it");
    await view.waitFor({ timeout: 120_000 });
    const before = await view.getAttribute("src");

    await page.locator(".model-more summary").click();
    await page.getByText("whose licence excludes commercial use").waitFor();
    await pickLandmarks(page);
    await unfold(page, "photo");
    await page.getByLabel("Align faces", { exact: true }).selectOption("yes");
    for (let i = 0; i < 400; i++) {
      const now = await view.getAttribute("src").catch(() => before);
      if (now !== before && now !== null) break;
      await page.waitForTimeout(100);
    }
    await shoot("site-aligned");
    assertEquals(await page.getByText("without the landmark").count(), 0);
    assert(await view.getAttribute("src") !== before);
  },
);
