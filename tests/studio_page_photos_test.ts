/// <reference lib="dom" />
/**
 * The page's photos: how they come in, the faces in them, and what the encoder
 * sees of them.
 */
import { assertEquals } from "@std/assert";
import { PNG_SIGNATURE } from "../src/image/signature.ts";
import type { Page } from "./support/browser.ts";
import { DrawnFaces } from "./support/drawn_faces.ts";
import { choose, pageTest, portrait, unfold } from "./support/studio_page.ts";
import { drawnPhoto } from "./support/studio_server.ts";

/** A file, as a page is told of it. */
interface BroughtFile {
  readonly name: string;
  readonly bytes: readonly number[];
}

function drawn(colour: number): BroughtFile {
  return { name: `${colour}.png`, bytes: [...drawnPhoto(colour)] };
}

/** Drops or pastes files that are made in the page. */
async function bring(
  page: Page,
  type: "drop" | "paste",
  ...files: BroughtFile[]
): Promise<void> {
  await page.evaluate(({ type, files }) => {
    const data = new DataTransfer();
    for (const { name, bytes } of files) {
      data.items.add(new File([new Uint8Array(bytes)], name));
    }
    const options = { bubbles: true, cancelable: true };
    document.body.dispatchEvent(
      type === "drop"
        ? new DragEvent(type, { ...options, dataTransfer: data })
        : new ClipboardEvent(type, { ...options, clipboardData: data }),
    );
  }, { type, files });
}

pageTest(
  "a photo shows its face and what the encoder sees",
  { photos: new DrawnFaces([0.25, 0.3, 0.45]) },
  async ({ page, shoot }) => {
    await choose(page, portrait(4));
    await page.getByAltText("Photo 1 as the encoder sees it").waitFor();
    await page.getByText("One face", { exact: true }).waitFor();
    await shoot("one-face");
    await page.getByRole("button", { name: "Remove photo 1" }).click();
    await page.getByText("Choose photos").waitFor();
  },
);

pageTest(
  "a photo without a face says so plainly",
  { photos: new DrawnFaces() },
  async ({ page, shoot, assertAccessible }) => {
    await choose(page, portrait(1));
    await page.getByText("No face found").waitFor();
    await shoot("no-face");
    await assertAccessible();
  },
);

pageTest(
  "a photo that is used whole says so, too, and has nothing to pick",
  { photos: new DrawnFaces().whole },
  async ({ page }) => {
    await choose(page, portrait(1));
    await page.getByText("No face found").waitFor();
    await page.getByText("Used whole").waitFor();
    assertEquals(await page.locator(".face-box").count(), 0);
  },
);

pageTest(
  "of several faces, one is picked on the photo",
  {
    alignsFaces: true,
    photos: new DrawnFaces([0.05, 0.3, 0.35], [0.55, 0.25, 0.4]),
  },
  async ({ page, shoot, assertAccessible }) => {
    await choose(page, portrait(2));
    await page.getByText("2 faces: pick one on the photo").waitFor();
    const asked = page.waitForRequest((request) =>
      request.url().endsWith("/api/identities") &&
      request.postDataJSON().face === 1
    );
    await page.locator(".face-box").nth(1).click();
    await asked;
    assertEquals(
      await page.getByRole("radio", { name: "Face 2 of 2" }).isChecked(),
      true,
    );
    await page.getByAltText("Photo 1 as the encoder sees it").waitFor();
    await shoot("several-faces");
    await assertAccessible();
    await page.keyboard.press("ArrowLeft");
    assertEquals(
      await page.getByRole("radio", { name: "Face 1 of 2" }).isChecked(),
      true,
    );
    // What is typed holds for photos on which nothing was picked.
    const mixed = page.waitForRequest((request) =>
      request.url().endsWith("/api/identities") &&
      JSON.stringify(request.postDataJSON().face) === '[0,"largest"]'
    );
    await choose(page, portrait(1));
    await unfold(page, "photo");
    await page.getByRole("textbox", { name: "Which face" }).fill("1,largest");
    await mixed;
  },
);

pageTest("photos are dropped and pasted", {}, async ({ page, shoot }) => {
  await page.getByText("Choose photos").waitFor();
  await bring(page, "drop", drawn(10), drawn(60));
  await page.getByAltText("Photo 2", { exact: true }).waitFor();
  await bring(page, "paste", drawn(120));
  await page.getByAltText("Photo 3", { exact: true }).waitFor();
  await bring(page, "drop", drawn(200));
  await page.getByText("This model takes 3 photos").waitFor();
  await shoot("three-photos", { fullPage: true });
  await page.getByRole("button", { name: "Dismiss" }).click();
  await page.getByRole("button", { name: "Move photo 3 forward" }).click();
  await page.getByRole("button", { name: "Remove photo 1" }).click();
  await page.getByAltText("Photo 3", { exact: true }).waitFor({
    state: "detached",
  });
  await bring(page, "drop", { name: "notes.txt", bytes: [110, 111] });
  await page.getByText("notes.txt is no photo that can be read here").waitFor();
  await bring(page, "drop", {
    name: "cut.png",
    bytes: [...PNG_SIGNATURE, 0, 0],
  });
  await page.getByText("cut.png is damaged").waitFor();
});
