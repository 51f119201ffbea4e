/**
 * The weights of the page that computes everything itself: fetched in few
 * requests, kept through a reload, checked, or read from a folder.
 */
import { assert, assertEquals } from "@std/assert";
import type { Page } from "./support/browser.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  fileBytes,
  MODEL_BYTES,
  modelReady,
  siteTest,
  useAnyway,
} from "./support/site_page.ts";
import type { Asked } from "./support/site_server.ts";

const mini = repositoryPath("weights/mini");
const CHUNK = 2 ** 20;

/** What the page says of a model that it cannot use. */
async function fault(page: Page): Promise<string> {
  const notice = page.locator(".model-panel .notice");
  await notice.waitFor();
  return await notice.locator("p").first().innerText();
}

/** Picks a folder through the field, as browsers do without the File System Access API. */
async function pickFolder(page: Page, folder: string): Promise<void> {
  await page.locator(".model-more summary").click();
  await page.locator(".model-more input[webkitdirectory]")
    .setInputFiles(folder);
}

/** Takes away the browser's own way to pick a folder, whose window no test can use. */
async function withoutPicker(page: Page): Promise<void> {
  await page.addInitScript({ content: "delete window.showDirectoryPicker" });
  await page.reload();
}

siteTest(
  "site weights: a reload in the middle of the download goes on where it was",
  { holdAfter: 9 * CHUNK },
  async ({ page, shoot }, host) => {
    await useAnyway(page);
    const bar = page.locator(".model-coming progress");
    await bar.waitFor();
    for (let i = 0; i < 200; i++) {
      if (Number(await bar.getAttribute("value")) > 8_000_000) break;
      await page.waitForTimeout(50);
    }
    assertEquals(await bar.getAttribute("max"), String(MODEL_BYTES));
    await shoot("site-download");
    const before = host.weights.length;
    await page.reload();
    await bar.waitFor();
    host.release();
    await modelReady(page);
    const again = host.weights.slice(before);
    // At most what was under way is sent twice.
    const all = again.map(lengthOf).reduce((sum, length) => sum + length, 0);
    assert(all <= MODEL_BYTES - 8_000_000, `${all} bytes after the reload`);
    for (const { range } of again) assertEquals(range![0] % CHUNK, 0);

    await page.reload();
    await modelReady(page);
    assertEquals(host.weights.length, before + again.length);
  },
);

function lengthOf({ range }: Asked): number {
  return range![1] - range![0] + 1;
}

siteTest(
  "site weights: a host without ranges will do",
  { isPlain: true },
  async ({ page }, host) => {
    await useAnyway(page);
    await modelReady(page);
    assertEquals(host.sent, MODEL_BYTES);
  },
);

siteTest(
  "site weights: without room it says so, keeps what it has, and goes on later",
  {},
  async ({ page, url, shoot }, host) => {
    const { origin } = new URL(url);
    const devtools = await page.context().newCDPSession(page);
    const quota = (bytes?: number) =>
      devtools.send("Storage.overrideQuotaForOrigin", {
        origin,
        ...bytes !== undefined && { quotaSize: bytes },
      });
    await quota(9_000_000);
    await useAnyway(page);
    const said = await fault(page);
    assert(/no room to keep the model: free disk space/.test(said), said);
    await shoot("site-no-room");
    await quota();
    const { length } = host.weights;
    await page.getByRole("button", { name: "Try again" }).click();
    await modelReady(page);
    const again = host.weights.slice(length).map(lengthOf)
      .reduce((sum, bytes) => sum + bytes, 0);
    assert(again < MODEL_BYTES - 4_000_000, `${again} bytes, not the rest`);
  },
);

siteTest(
  "site weights: damage is found, named, and fetched anew",
  {
    change: (path, bytes) => {
      if (!path.endsWith("vae.weave")) return bytes;
      const damaged = bytes.slice();
      damaged[damaged.length - 1000] ^= 1;
      return damaged;
    },
  },
  async ({ page, shoot }, host) => {
    await useAnyway(page);
    const said = await fault(page);
    assert(
      /vae\.weave: tensor .* is damaged .*; fetch it again/.test(said),
      said,
    );
    await shoot("site-damaged");
    delete host.options.change;
    const sent = host.sent;
    await page.getByRole("button", { name: "Try again" }).click();
    await modelReady(page);
    // The damaged file alone.
    assertEquals(host.sent - sent, fileBytes("vae"));
  },
);

siteTest(
  "site weights: a file of another conversion is refused by its hash",
  {
    change: (path, bytes) => {
      if (path !== "weights/mini/model.json") return bytes;
      const text = new TextDecoder().decode(bytes).replace(
        "4a3ab34b",
        "00000000",
      );
      return new TextEncoder().encode(text);
    },
  },
  async ({ page }) => {
    await useAnyway(page);
    const said = await fault(page);
    assert(
      /vae\.weave: model\.json lists another .*; fetch it again$/.test(said),
      said,
    );
  },
);

siteTest(
  "site weights: a folder that is no model is refused, a model's is used",
  {},
  async ({ page, shoot }, host) => {
    await withoutPicker(page);
    await useAnyway(page);
    await modelReady(page);
    await pickFolder(page, repositoryPath("src/studio/page/portraits"));
    const said = await fault(page);
    assert(
      /The folder portraits is no model: text_encoder\.weave/.test(said),
      said,
    );
    await shoot("site-no-model");
    await page.locator(".notice").getByRole("button", { name: "Back to" })
      .click();
    await modelReady(page);
    const { length } = host.weights;
    await page.locator(".model-more input[webkitdirectory]").setInputFiles(
      mini,
    );
    await page.getByText("read from the folder that you picked").waitFor();
    await shoot("site-folder");
    const wrong = page.locator(".model-more input[accept='.weave']");
    await wrong.setInputFiles(`${mini}/vae.weave`);
    await page.getByText("vae.weave is no landmarks.weave").waitFor();
    assertEquals(host.weights.length, length);
  },
);

siteTest(
  "site weights: a folder from the File System Access API is used",
  {},
  async ({ page }, host) => {
    await useAnyway(page);
    await modelReady(page);
    const { length } = host.weights;
    // No test can use the browser's window; the browser's own folder is one, too.
    await page.evaluate(pickOwnFolder, [
      "text_encoder.weave",
      "unet.weave",
      "vae.weave",
      "image_encoder.weave",
      "identity_adapter.weave",
      "face_parser.weave",
    ]);
    const copied = host.weights.length;
    assertEquals(copied, length + 6);
    await page.locator(".model-more summary").click();
    await page.getByRole("button", { name: "Use a model" }).click();
    await page.getByText("read from the folder that you picked").waitFor();
    await page.locator(".header").getByText("Model picked").waitFor();
    assertEquals(host.weights.length, copied);
  },
);

/** The part of a folder's handle that is used here. */
interface Folder {
  getDirectoryHandle(name: string, how: object): Promise<Folder>;
  getFileHandle(name: string, how: object): Promise<{
    createWritable(): Promise<WritableStream<Uint8Array>>;
  }>;
}

/** Runs in the page: copies files into a folder, and lets it be the one that is picked. */
async function pickOwnFolder(names: readonly string[]): Promise<void> {
  const { storage } = navigator as unknown as {
    storage: { getDirectory(): Promise<Folder> };
  };
  const root = await storage.getDirectory();
  const folder = await root.getDirectoryHandle("picked", { create: true });
  for (const name of names) {
    const { body } = await fetch(`weights/mini/${name}`);
    const file = await folder.getFileHandle(name, { create: true });
    await body!.pipeTo(await file.createWritable());
  }
  Object.assign(globalThis, { showDirectoryPicker: async () => await folder });
}
