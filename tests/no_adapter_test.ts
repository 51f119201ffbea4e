/**
 * Where there is no adapter, the message says what to do in that runtime.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { OLDEST } from "../src/gpu/browsers.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { noAdapter } from "../src/gpu/no_adapter.ts";
import { withTools } from "../src/host/advice.ts";
import { provideWebGpu } from "../src/host/dawn.ts";
import { repositoryPath } from "./support/paths.ts";

const webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
const driver = /: a Vulkan, Metal or Direct3D 12 driver is needed$/;

/** User agents, what is said without WebGPU, and with it but no adapter. */
const agents: readonly (readonly [string, RegExp, RegExp])[] = [
  ["Deno/2.9.6", /"unstable": \["webgpu"\] into deno\.json/, driver],
  ["Node.js/26", /npm package webgpu/, driver],
  ["Bun/1.4.5", /npm package webgpu/, driver],
  [
    `Mozilla/5.0 (X11; Linux x86_64) ${webkit} Chrome/156.0.0.0 Safari/537.36`,
    /chrome:\/\/flags\/#enable-unsafe-webgpu/,
    /chrome:\/\/gpu/,
  ],
  [
    `Mozilla/5.0 (Windows NT 10.0) ${webkit} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0`,
    /use Chrome or Edge 140 or later/,
    /graphics acceleration/,
  ],
  [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    /dom\.webgpu\.enabled to true in about:config/,
    /about:support/,
  ],
  [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    /use Safari 26 or later/,
    /update macOS/,
  ],
  ["", /no navigator\.gpu/, driver],
];

Deno.test("no adapter: each runtime is told what to do there", () => {
  for (const [userAgent, withoutApi, withoutAdapter] of agents) {
    const said = (gpu?: object) => noAdapter({ navigator: { userAgent, gpu } });
    assertMatch(said(), withoutApi);
    assertMatch(said({}), withoutAdapter);
    for (const message of [said(), said({})]) {
      assertMatch(message, /^Found no WebGPU adapter: [^.]/);
      assert(!message.endsWith("."), message);
    }
  }
  assertMatch(noAdapter({}), /no navigator\.gpu/);
});

Deno.test("no adapter: a page over http is told of https", () => {
  for (const [userAgent] of agents) {
    const page = { isSecureContext: false, navigator: { userAgent } };
    assertMatch(noAdapter(page), /https or from localhost/);
    const secure = { ...page, isSecureContext: true };
    assert(!noAdapter(secure).includes("https"));
  }
});

Deno.test("no adapter: a browser is not told to run a script", () => {
  for (const [userAgent] of agents.slice(3, 7)) {
    for (const gpu of [undefined, {}]) {
      const message = noAdapter({ navigator: { userAgent, gpu } });
      assertEquals(withTools(message), message);
    }
  }
  const here = noAdapter({ navigator: { userAgent: "Deno/2.9.6", gpu: {} } });
  assertMatch(withTools(here), /tools\/setup\.sh/);
});

Deno.test("no adapter: Deno is not sent to npm for what it has itself", async () => {
  const own = Object.getOwnPropertyDescriptor(navigator, "gpu");
  const without = { configurable: true, value: undefined };
  Object.defineProperty(navigator, "gpu", without);
  try {
    await provideWebGpu();
    await assertRejects(() => Gpu.open(), MasterWeaverError, "deno.json");
  } finally {
    if (own) Object.defineProperty(navigator, "gpu", own);
    else Reflect.deleteProperty(navigator, "gpu");
  }
});

Deno.test("no adapter: README's table has the oldest browsers", async () => {
  const readme = await Deno.readTextFile(repositoryPath("README.md"));
  const { chrome, firefox, safari } = OLDEST;
  assertMatch(readme, new RegExp(`\\| Chrome, Edge ${chrome} and later \\|`));
  assertMatch(
    readme,
    new RegExp(`\\| Firefox ${firefox}, Safari ${safari} \\|`),
  );
});
