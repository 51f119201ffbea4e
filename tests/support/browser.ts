/**
 * A headless Chromium for tests of the page.
 *
 * @module
 */
// No import map: it would not apply where tests are run from elsewhere.
// deno-lint-ignore no-import-prefix
import * as playwright from "npm:playwright-core@1.65.1";

/** A browser that runs. */
export type Browser = playwright.Browser;

/** A page in it. */
export type Page = playwright.Page;

/** What a page has or will have. */
export type Locator = playwright.Locator;

/** What a page's browser is like: its window, language and colours. */
export type ContextOptions = playwright.BrowserContextOptions;

/** Where Debian and others put it. */
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The path of a Chromium that is installed; `CHROMIUM` names another. */
export function findChromium(): string | undefined {
  const named = Deno.env.get("CHROMIUM");
  return [...named ? [named] : [], ...PLACES].find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** Whether pages can compute: with WebGPU, on whatever adapter there is, or without. */
export type BrowserGpu = "webgpu" | "none";

/** Starts a Chromium that asks nobody for anything. */
export function launchChromium(
  executablePath: string,
  gpu: BrowserGpu = "none",
): Promise<Browser> {
  return playwright.chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      gpu === "none" ? "--disable-gpu" : "--enable-unsafe-webgpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // A name that is not this machine's, as a browser elsewhere would use one.
      "--host-resolver-rules=MAP studio.test 127.0.0.1",
    ],
  });
}
