/**
 * The weights of the page that computes everything itself: fetched in few
 * requests, kept through a reload, checked, or read from a folder.
 */
import { assert, assertEquals } from "@std/assert";
import type { Locator, Page } from "./support/browser.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  fileBytes,
  MODEL_BYTES,
  modelReady,
  pickLandmarks,
  siteTest,
  useAnyway,
} from "./support/site_page.ts";
import { unfold } from "./support/studio_page.ts";
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

/** The bar of a download of which more than so many bytes have come. */
async function fetched(page: Page, bytes: number): Promise<Locator> {
  const bar = page.locator(".model-coming progress");
  await bar.waitFor();
  for (let i = 0; i < 200; i++) {
    if (Number(await bar.getAttribute("value")) > bytes) return bar;
    await page.waitForTimeout(50);
  }
  throw new Error(`${await bar.getAttribute("value")} bytes have come`);
}

siteTest(
  "site weights: a reload in the middle of the download goes on where it was",
  { holdAfter: 9 * CHUNK },
  async ({ page, shoot }, host) => {
    await useAnyway(page);
    const bar = await fetched(page, 8_000_000);
    assertEquals(await bar.getAttribute("max"), String(MODEL_BYTES));
    await shoot("site-download");
    // Another model of this site's, an earlier version, and another site's.
    const other = "/another/weights/old/unet.weave?hash=0&chunk=0";
    await page.evaluate(keepMore, [
      "weights/old/model.json",
      "weights/old/unet.weave?hash=0&chunk=0",
      "weights/mini/unet.weave?hash=0&chunk=0",
      other,
    ]);
    const before = host.weights.length;
    await page.reload();
    await bar.waitFor();
    host.release();
    await modelReady(page);
    const old = (await page.evaluate(keptUrls)).filter((url) =>
      /old|hash=0&/.test(url)
    );
    assertEquals(old, [new URL(other, page.url()).href]);
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

/** Runs in the page: keeps more than its weights. */
async function keepMore(urls: readonly string[]): Promise<void> {
  const cache = await caches.open("masterweaver-weights");
  for (const url of urls) {
    await cache.put(new URL(url, location.href).href, new Response("old"));
  }
}

/** Runs in the page: the addresses of what is kept. */
async function keptUrls(): Promise<string[]> {
  const cache = await caches.open("masterweaver-weights");
  return (await cache.keys()).map(({ url }) => url);
}

function lengthOf({ range }: Asked): number {
  return range![1] - range![0] + 1;
}

siteTest(
  "site weights: a host without ranges will do",
  { isPlain: true },
  async ({ page }, host) => {
    await page.addInitScript(countPersist);
    await page.reload();
    await useAnyway(page);
    await modelReady(page);
    assertEquals(host.sent, MODEL_BYTES);
    const asked = () => page.evaluate(() => (globalThis as Persisting).asked);
    assertEquals(await asked(), 1);
    // Nothing to fetch, nothing to ask for.
    await page.reload();
    await modelReady(page);
    await page.locator(".model-more summary").click();
    assertEquals(await asked(), 0);
  },
);

/** How often the page asked the browser to keep its weights. */
type Persisting = { asked?: number };

/** Runs in the page: counts that, and refuses. */
function countPersist(): void {
  const { storage } = navigator as unknown as { storage: object };
  const counter = globalThis as Persisting;
  counter.asked = 0;
  Object.assign(storage, {
    persist: () => {
      counter.asked!++;
      return Promise.resolve(false);
    },
  });
}

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
    // All is kept: nothing needs room any more.
    await quota(1000);
    await page.reload();
    await modelReady(page);
  },
);

siteTest(
  "site weights: all data of the site is deleted during the download",
  { holdAfter: 5 * CHUNK },
  async ({ page, url }, host) => {
    await useAnyway(page);
    await fetched(page, 4_000_000);
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Storage.clearDataForOrigin", {
      origin: new URL(url).origin,
      storageTypes: "cache_storage",
    });
    host.release();
    await modelReady(page);
    assertEquals(await page.locator(".model-panel .notice").count(), 0);
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

    // What is damaged later, when it was checked already.
    await page.evaluate(damageKept, "unet.weave");
    await page.locator(".picker input").setInputFiles([`${mini}/demo.png`]);
    await page.getByRole("button", { name: /^Generate/ }).click();
    await page.getByText(
      /unet\.weave: tensor .* the page fetches the file again/,
    )
      .first().waitFor({ timeout: 120_000 });
    await modelReady(page);
    assertEquals(
      host.sent - sent,
      fileBytes("vae") + fileBytes("unet"),
    );
  },
);

/** Runs in the page: changes a byte in the middle of each chunk of a file but the first. */
async function damageKept(name: string): Promise<void> {
  const cache = await caches.open("masterweaver-weights");
  for (const request of await cache.keys()) {
    const chunk = new URL(request.url).searchParams.get("chunk");
    if (!request.url.includes(name) || chunk === null || chunk === "0") {
      continue;
    }
    const bytes = new Uint8Array(
      await (await cache.match(request))!.arrayBuffer(),
    );
    bytes[bytes.length >> 1] ^= 1;
    await cache.put(request, new Response(bytes));
  }
}

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
    // The site's face detector stands in, as it is kept here.
    await pickLandmarks(page);
    await page.locator(".picker input").setInputFiles(`${mini}/demo.png`);
    await unfold(page, "photo");
    await page.getByLabel("Align faces", { exact: true }).selectOption("yes");
    await page.locator(".face-box").waitFor({ timeout: 120_000 });
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
