/**
 * What the page that computes everything itself refuses and says: no GPU, and
 * any way out of it.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "./support/browser.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  builtSite,
  modelReady,
  siteTest,
  useAnyway,
} from "./support/site_page.ts";

/** What the page says of the GPU. */
async function notice(page: Page): Promise<string> {
  const notice = page.locator(".model-panel .notice");
  await notice.waitFor();
  return await notice.innerText();
}

siteTest(
  "site policy: neither the document nor a Worker reaches another host",
  {},
  async ({ page }, host) => {
    let reached = 0;
    await using other = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => {
        reached++;
        return new Response("", {
          headers: { "access-control-allow-origin": "*" },
        });
      },
    );
    const elsewhere = `http://localhost:${other.addr.port}/`;
    await useAnyway(page);
    await modelReady(page);
    await page.locator(".picker input")
      .setInputFiles([repositoryPath("weights/mini/demo.png")]);
    await page.getByAltText("Photo 1 as the encoder sees it")
      .waitFor({ timeout: 120_000 });
    const workers = page.workers();
    assertEquals(workers.length, 4);
    const tryIt = async (url: string) => {
      try {
        await fetch(url, { method: "POST", body: "a photo" });
        return "sent";
      } catch {
        return "refused";
      }
    };
    // Nor is a script started that is not the page's.
    assertEquals(
      await page.evaluate(() => {
        try {
          return String(new Worker("/elsewhere.js", { type: "module" }));
        } catch (error) {
          return (error as Error).message;
        }
      }),
      "/elsewhere.js is no script of this page",
    );
    // Of another page: the browser logs what it refuses, and this one may log nothing.
    const another = await page.context().newPage();
    await another.goto(page.url());
    assertEquals(await another.evaluate(tryIt, elsewhere), "refused");
    for (const worker of workers) {
      assertEquals(await worker.evaluate(tryIt, elsewhere), "refused");
    }
    assertEquals(reached, 0);
    // Nor does it send anything to its own host: all it does is ask for files.
    assertEquals(host.bodies, 0);
  },
);

Deno.test("site policy: its scripts have no words that Safari does not know", async () => {
  const folder = `${await builtSite()}/assets`;
  const [scripts] = [...Deno.readDirSync(folder)]
    .filter(({ isDirectory }) => isDirectory);
  let count = 0;
  for (const part of ["", "/workers"]) {
    for (
      const { name } of Deno.readDirSync(`${folder}/${scripts.name}${part}`)
    ) {
      if (!name.endsWith(".js")) continue;
      const path = `${folder}/${scripts.name}${part}/${name}`;
      const code = await Deno.readTextFile(path);
      assertEquals(code.match(/\busing \w+=|DisposableStack/g), null, name);
      assertMatch(code, /^for\(const n of\["dispose","asyncDispose"\]\)/);
      count++;
    }
  }
  assert(count > 5, `${count} scripts`);
});

siteTest(
  "site policy: without WebGPU it says what to do in this browser",
  { gpu: "none" },
  async ({ page, shoot, assertAccessible }, host) => {
    const said = await notice(page);
    assert(/Images cannot be made in this browser as it is/.test(said), said);
    assert(/chrome:\/\//.test(said), said);
    assertEquals(host.weights, []);
    // Nor does it wait for a model that will not come.
    await page.locator(".example").first().click();
    await page.locator(".stage").getByText("the top of the page says why")
      .waitFor();
    await shoot("site-no-gpu");
    await assertAccessible();
    await page.getByLabel("Language").selectOption("zh-CN");
    assert(/此浏览器目前无法生成图像/.test(await notice(page)));
    await shoot("site-no-gpu-zh");
    await page.addInitScript({
      content: "delete Uint8Array.prototype.toBase64",
    });
    await page.reload();
    assert(/过旧.*Chrome 或 Edge 140/.test(await notice(page)));
  },
);

const firefox =
  "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const safari =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15";

for (
  const [name, userAgent, noAdapter, noWebGpu] of [
    ["Firefox", firefox, /about:support/, /about:config/],
    ["Safari", safari, /Lockdown Mode/, /use Safari 26 or later/],
  ] as const
) {
  siteTest(
    `site policy: without WebGPU it says what to do in ${name}`,
    { gpu: "none", userAgent },
    async ({ page }) => {
      assertMatch(await notice(page), noAdapter);
      await page.addInitScript({
        content: "delete Navigator.prototype.gpu",
      });
      await page.reload();
      assertMatch(await notice(page), noWebGpu);
    },
  );
}

siteTest(
  "site policy: a software adapter is used where somebody wants it, once asked",
  {},
  async ({ page, shoot }, host) => {
    const said = await notice(page);
    assert(/no GPU here, only a slow substitute/.test(said), said);
    assert(/chrome:\/\/gpu/.test(said), said);
    await shoot("site-software");
    assertEquals(host.weights, []);
    await useAnyway(page);
    await modelReady(page);
    await page.reload();
    await modelReady(page);
    assertEquals(await page.locator(".notice").count(), 0);
  },
);
