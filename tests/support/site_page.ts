/**
 * Tests of the page that computes everything itself: the site is built once, and
 * a host serves it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  type ComponentName,
  networkComponents,
} from "../../src/weights/components.ts";
import { buildSite } from "../../tools/site/build.ts";
import type { Page } from "./browser.ts";
import { plainLandmarks } from "./landmarks.ts";
import { repositoryPath } from "./paths.ts";
import { type HostOptions, SiteHost } from "./site_server.ts";
import {
  browserTest,
  type Visit,
  visit,
  type VisitOptions,
} from "./studio_page.ts";

let folder: Promise<string> | undefined;

/** Bytes of one of the model's files. */
export function fileBytes(name: ComponentName): number {
  return Deno.statSync(repositoryPath(`weights/mini/${name}.weave`)).size;
}

/** Bytes of the model that a page fetches. */
export const MODEL_BYTES: number = [
  ...networkComponents,
  "face_detector" as const,
].map(fileBytes).reduce((sum, bytes) => sum + bytes, 0);

Deno.test.afterAll(async () => {
  if (folder) await Deno.remove(await folder, { recursive: true });
});

/** The built site, made by the first test that wants it. */
export function builtSite(): Promise<string> {
  return folder ??= (async () => {
    const output = await Deno.makeTempDir();
    await buildSite({ output, model: repositoryPath("weights/mini") });
    return output;
  })();
}

/** How a site is visited. */
export interface SiteVisitOptions
  extends HostOptions, Omit<Partial<VisitOptions>, "url"> {}

/** Registers a test of the site; the page can compute unless it is said otherwise. */
export function siteTest(
  name: string,
  options: SiteVisitOptions,
  fn: (visit: Visit, host: SiteHost) => Promise<void>,
): void {
  browserTest(name, async () => {
    await using host = new SiteHost(await builtSite(), { ...options });
    const url = host.url.replace(/\/$/, "");
    await visit({ gpu: "webgpu", ...options, url }, (v) => fn(v, host));
  });
}

/** Agrees to a software adapter, where the page asks. */
export async function useAnyway(page: Page): Promise<void> {
  const anyway = page.getByRole("button", { name: "Use it anyway" });
  const coming = page.locator(".model-coming, .header .model");
  await anyway.or(coming).first().waitFor();
  if (await anyway.isVisible()) await anyway.click();
}

/** Waits until the model can be used. */
export async function modelReady(page: Page): Promise<void> {
  await page.locator(".header .model").waitFor({ state: "attached" });
  await page.locator(".model-coming").waitFor({ state: "detached" });
}

/** Picks landmarks, whose place the page shows already, and waits for the model with them. */
export async function pickLandmarks(page: Page): Promise<void> {
  await page.locator(".model-more input[accept='.weave']").setInputFiles({
    name: "landmarks.weave",
    mimeType: "application/octet-stream",
    buffer: Buffer.from(await plainLandmarks()),
  });
  await page.getByText("landmarks.weave was picked").waitFor();
  await modelReady(page);
}

/** Fills fields by their labels. */
export async function fill(
  page: Page,
  fields: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [label, value] of Object.entries(fields)) {
    await page.locator(".panel").getByLabel(label, { exact: true }).first()
      .fill(value);
  }
}
