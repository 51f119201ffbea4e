/**
 * Tests of the page: a studio, its page in a headless Chromium, and a record of
 * all that must not happen in it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
// No import map: it would not apply where tests are run from elsewhere.
// deno-lint-ignore no-import-prefix
import axe from "npm:axe-core@4.14.1";
import {
  pageFiles,
  type PageHandler,
} from "../../src/studio/http/page_files.ts";
import { sha256 } from "../../src/base/sha256.ts";
import type { GroupName } from "../../src/studio/page/state/form_options.ts";
import type { RunningStudio } from "../../src/studio/serve.ts";
import {
  type Browser,
  type BrowserGpu,
  type ContextOptions,
  findChromium,
  launchChromium,
  type Locator,
  type Page,
} from "./browser.ts";
import { repositoryPath } from "./paths.ts";
import { testStudio, type TestStudioOptions } from "./studio_server.ts";

const chromium = findChromium();
const inCi = Boolean(Deno.env.get("CI"));

/** The longest that a test waits for anything on the page, in milliseconds. */
const PATIENCE = 20_000;

/** What `-- --screenshots DIR` says. */
const folder = Deno.args[Deno.args.indexOf("--screenshots") + 1];
const screenshots = Deno.args.includes("--screenshots") ? folder : undefined;

let files: PageHandler | undefined;
const browsers = new Map<BrowserGpu, Promise<Browser>>();

Deno.test.afterAll(async () => {
  for (const browser of browsers.values()) await (await browser).close();
});

/** The page's files, bundled once for all tests of a file. */
export function sharedPageFiles(): PageHandler {
  return files ??= pageFiles();
}

/** A page in a browser. */
export interface Visit {
  /** Playwright's page. */
  readonly page: Page;
  /** Where its server is, without a slash at the end. */
  readonly url: string;
  /** Keeps a screenshot, where somebody asked for them. */
  shoot(name: string, options?: { readonly fullPage?: boolean }): Promise<void>;
  /** Asserts that axe finds nothing serious. */
  assertAccessible(): Promise<void>;
}

/** How a page is visited. */
export interface VisitOptions extends ContextOptions {
  /** The server; the page is its root. */
  readonly url: string;
  /** Where to go first. */
  readonly path?: string;
  /** Whether the page can compute; not where it is not said. */
  readonly gpu?: BrowserGpu;
}

/**
 * Registers a test that needs Chromium. Without it, it is reported as skipped, by
 * its name; in CI it fails instead.
 */
export function browserTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name,
    fn,
    ignore: chromium === undefined && !inCi,
    // The browser outlives its first test.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

/** Registers a test of the page of a studio that draws. */
export function pageTest(
  name: string,
  options: TestStudioOptions & Omit<Partial<VisitOptions>, "url">,
  fn: (visit: Visit, studio: RunningStudio) => Promise<void>,
): void {
  browserTest(name, async () => {
    await using studio = await testStudio({
      page: sharedPageFiles(),
      ...options,
    });
    await visit({ ...options, url: studio.url }, (v) => fn(v, studio));
  });
}

/** Visits a page; asserts that it asked no other host for anything, kept to its policy and threw nothing. */
export async function visit(
  { url, path = "/", gpu = "none", ...options }: VisitOptions,
  fn: (visit: Visit) => Promise<void>,
): Promise<void> {
  if (chromium === undefined) throw new Error("There is no Chromium");
  const browser = browsers.get(gpu) ?? launchChromium(chromium, gpu);
  browsers.set(gpu, browser);
  const context = await (await browser).newContext({
    viewport: { width: 1440, height: 900 },
    colorScheme: "light",
    locale: "en-GB",
    reducedMotion: "reduce",
    ...options,
  });
  try {
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    await page.addInitScript({ content: axe.source });
    const faults = watch(page, new URL(url).host);
    await page.goto(url + path);
    await fn({
      page,
      url,
      shoot: (name, { fullPage = false } = {}) => shoot(page, name, fullPage),
      assertAccessible: () => assertAccessible(page),
    });
    assertEquals(faults, []);
  } finally {
    await context.close();
  }
}

/** A drawn portrait of the page's examples. */
export function portrait(number: number): string {
  return repositoryPath(`src/studio/page/portraits/${number}.jpg`);
}

/** Chooses photos by the field for files, and waits until they are there. */
export async function choose(page: Page, ...paths: string[]): Promise<void> {
  const photos = page.locator(".photo");
  const before = await photos.count();
  await page.locator(".picker input").setInputFiles(paths);
  await photos.nth(before + paths.length - 1).waitFor();
}

/** Waits until the browser keeps a file that was chosen: a page that is left earlier loses it. */
export async function kept(page: Page, path: string): Promise<void> {
  const hash = await sha256(await Deno.readFile(path));
  for (let i = 0; i < 200; i++) {
    const isKept = await page.evaluate(`new Promise((resolve) => {
      const opening = indexedDB.open("masterweaver");
      opening.onsuccess = () => {
        const files = opening.result.transaction("files").objectStore("files");
        files.getKey("photo/${hash}").onsuccess = ({ target }) => {
          opening.result.close();
          resolve(target.result !== undefined);
        };
      };
    })`);
    if (isKept) return;
    await page.waitForTimeout(50);
  }
  throw new Error(`The browser does not keep ${path}`);
}

/** Deletes the files that images are made from, as a browser may that runs out of room. */
export async function forgetFiles(page: Page): Promise<void> {
  await page.evaluate(`new Promise((resolve, reject) => {
    const opening = indexedDB.open("masterweaver");
    opening.onsuccess = () => {
      const transaction = opening.result.transaction("files", "readwrite");
      transaction.objectStore("files")
        .delete(IDBKeyRange.bound("photo/", "photo/~"));
      transaction.oncomplete = () => resolve();
      transaction.onerror = reject;
    };
  })`);
}

/** Unfolds a group of the form, as `form_options.ts` names it. */
export function unfold(page: Page, group: GroupName): Promise<void> {
  return page.locator(`#fold-${group} > summary`).click();
}

/** Presses Generate. */
export function generate(page: Page): Promise<void> {
  return page.getByRole("button", { name: "Generate" }).click();
}

/** A finished image, counted from 1: a button that opens it. */
export function image(page: Page, number: number): Locator {
  return page.getByRole("button", { name: `Open image ${number}` });
}

/** Collects what must not happen, as it happens. */
function watch(page: Page, host: string): string[] {
  const faults: string[] = [];
  page.on("pageerror", ({ message }) => faults.push(`thrown: ${message}`));
  page.on("request", (request) => {
    const { protocol, host: asked } = new URL(request.url());
    const isLocal = protocol === "data:" || protocol === "blob:";
    if (!isLocal && asked !== host) faults.push(`asked: ${request.url()}`);
  });
  page.on("console", (message) => {
    const text = message.text();
    // An answer that is an error is logged by the browser, and shown by the page.
    const isAnswer = text.startsWith("Failed to load resource:");
    // Where there is no TLS, this header of the server's does nothing.
    const isPlain = text.startsWith("The Cross-Origin-Opener-Policy header");
    // Where there is no GPU, which the page says itself.
    const isAdapter = text === "No available adapters.";
    const isFault = ["error", "warning"].includes(message.type());
    if (isFault && !isAnswer && !isPlain && !isAdapter) {
      faults.push(`logged: ${text}`);
    }
  });
  return faults;
}

async function shoot(
  page: Page,
  name: string,
  fullPage: boolean,
): Promise<void> {
  if (screenshots === undefined) return;
  await Deno.mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage });
}

async function assertAccessible(page: Page): Promise<void> {
  const { violations } = await page.evaluate(() => {
    const { axe } = globalThis as unknown as {
      axe: typeof import("npm:axe-core@4.14.1");
    };
    return axe.run();
  });
  const serious = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) =>
      `${id}: ${nodes.map(({ html }) => html).join(" ")}`
    );
  assertEquals(serious, []);
}
