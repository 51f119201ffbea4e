/**
 * What somebody may try against a studio with requests: each is refused with a
 * reason, and the server goes on. Hostile bodies are in studio_bodies_test.ts.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { allowedHosts } from "../src/studio/http/guard.ts";
import { makeToken, Sessions } from "../src/studio/http/sessions.ts";
import { repositoryPath } from "./support/paths.ts";
import { rawRequest } from "./support/raw_http.ts";
import {
  drawnPhoto,
  good,
  postJson,
  refused,
  withStudio,
} from "./support/studio_server.ts";

Deno.test("attack: a page of another site cannot use the studio", async () => {
  await withStudio({}, async (url, { studio }) => {
    const sites: Record<string, string>[] = [
      { origin: "http://evil.example" },
      { origin: "null" },
      { origin: url.replace(/\d+$/, "1") },
      { "sec-fetch-site": "cross-site" },
      // Another port of this machine is the same site, and another program.
      { "sec-fetch-site": "same-site" },
    ];
    for (const headers of sites) {
      for (
        const type of ["application/json", "multipart/form-data; boundary=x"]
      ) {
        const response = await fetch(`${url}/api/generate`, {
          method: "POST",
          headers: { ...headers, "content-type": type },
          body: JSON.stringify(good),
        });
        assertEquals(response.status, 403);
        assertEquals((await response.json()).error.code, "forbidden");
      }
      const response = await fetch(`${url}/api/jobs`, { headers });
      assertEquals(response.status, 403);
      await response.body?.cancel();
      assertEquals(response.headers.get("access-control-allow-origin"), null);
    }
    const preflight = await fetch(`${url}/api/generate`, {
      method: "OPTIONS",
      headers: { origin: "http://evil.example" },
    });
    await preflight.body?.cancel();
    assertEquals(preflight.headers.get("access-control-allow-origin"), null);
    assertEquals([...studio.jobs.all()], []);
    const own = await fetch(`${url}/api/jobs`, {
      headers: { origin: url, "sec-fetch-site": "same-origin" },
    });
    assertEquals(await own.json(), []);
  });
});

Deno.test("attack: a name that was made to mean this machine is refused", async () => {
  await withStudio({}, async (url) => {
    const { port } = new URL(url);
    const hosts = [
      `evil.example:${port}`,
      "evil.example",
      `localhost.evil.example:${port}`,
      "127.0.0.1:1",
      "127.0.0.1",
      `10.0.0.1:${port}`,
      `[::1].evil.example:${port}`,
      `127.0.0.1:${port}@evil.example`,
    ];
    for (const host of hosts) {
      for (const path of ["/api/model", "/api/health", "/", "/docs"]) {
        const { status } = await rawRequest(url, [
          `GET ${path} HTTP/1.1`,
          `Host: ${host}`,
        ]);
        assert(status === 403 || status === 400, `${host} ${path}: ${status}`);
      }
    }
    for (const host of ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"]) {
      const { status } = await rawRequest(url, [
        "GET /api/model HTTP/1.1",
        `Host: ${host}:${port}`,
      ]);
      assertEquals(status, 200, host);
    }
  });
});

Deno.test("attack: other names are let in only where they were given", () => {
  const isLocal = allowedHosts({
    hostname: "127.0.0.1",
    port: 80,
    publicHosts: ["studio.example", "tunnel:99"],
  });
  assert(isLocal("studio.example") && isLocal("studio.example:8443"));
  assert(isLocal("tunnel:99") && !isLocal("tunnel:98") && !isLocal("tunnel"));
  assert(isLocal("localhost") && !isLocal("192.168.0.2"));
  const isAnywhere = allowedHosts({
    hostname: "0.0.0.0",
    port: 7860,
    publicHosts: [],
  });
  assert(isAnywhere("192.168.0.2:7860") && isAnywhere("[fe80::1]:7860"));
  assert(!isAnywhere("evil.example:7860"));
});

Deno.test("attack: types that a form of another site can send are refused", async () => {
  await withStudio({}, async (url) => {
    const types = [
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/jsonp",
      "",
    ];
    for (const type of types) {
      const { status, body } = await rawRequest(url, [
        "POST /api/generate HTTP/1.1",
        ...type ? [`Content-Type: ${type}`] : [],
        "Content-Length: 2",
      ], "{}");
      assertEquals(status, 415, type);
      assertMatch(body, /must be application\/json or multipart\/form-data/);
    }
  });
});

Deno.test("attack: a token is needed where there is one", async () => {
  const page = () => new Response("page");
  await withStudio({ token: "correct-horse", page }, async (url) => {
    const status = async (
      headers: Record<string, string>,
      path = "/api/model",
    ) => {
      const response = await fetch(url + path, { headers, redirect: "manual" });
      await response.body?.cancel();
      return response.status;
    };
    assertEquals(await status({}), 401);
    assertEquals(await status({}, "/openapi.json"), 401);
    assertEquals(await status({}, "/"), 200);
    assertEquals(await status({}, "/api/health"), 200);
    assertEquals(await status({ authorization: "Bearer wrong" }), 401);
    assertEquals(await status({ authorization: "Bearer correct-hors" }), 401);
    assertEquals(await status({ authorization: "Bearer correct-horse" }), 200);
    assertEquals(await status({ "x-api-key": "correct-horse" }), 200);
    assertEquals(await status({}, "/login?token=wrong"), 401);
    const login = await fetch(`${url}/login?token=correct-horse`, {
      redirect: "manual",
    });
    assertMatch(await login.text(), /content="0;url=\/"/);
    const cookie = login.headers.get("set-cookie") ?? "";
    assertMatch(cookie, /HttpOnly; SameSite=Strict/);
    assert(!cookie.includes("correct-horse"));
    const [pair] = cookie.split(";");
    assertEquals(await status({ cookie: `a=b; ${pair}` }), 200);
    assertEquals(await status({ cookie: pair.replace("=", "=0") }), 401);
    assertEquals(await status({ cookie: pair }, "/"), 200);
    assertEquals(await status({ cookie: pair.slice(0, -1) }), 401);
  });
});

Deno.test("attack: a cookie is for this server's pages alone", () => {
  const cookieOf = (isSecure: boolean) =>
    new Sessions("correct-horse", isSecure)
      .login(new Request("https://studio/login?token=correct-horse"))
      .headers.get("set-cookie") ?? "";
  const flags = "; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000";
  assert(cookieOf(false).endsWith(flags));
  assert(cookieOf(true).endsWith(`${flags}; Secure`));
  // Another token's signature says nothing here.
  const [cookie] = cookieOf(true).split(";");
  const request = new Request("https://studio/", { headers: { cookie } });
  new Sessions("correct-horse", true).client(request, "");
  assertThrows(() => new Sessions("battery-staple", true).client(request, ""));
});

Deno.test("studios with other tokens on one host do not log each other out", () => {
  const nameOf = (token: string) =>
    new Sessions(token, false)
      .login(new Request(`http://studio/login?token=${token}`))
      .headers.get("set-cookie")?.split("=")[0];
  assertEquals(nameOf("correct-horse"), nameOf("correct-horse"));
  assert(nameOf("correct-horse") !== nameOf("battery-staple"));
});

Deno.test("attack: tokens are compared in the same time, whatever differs", async () => {
  const sessions = new Sessions("correct-horse", false);
  const tokens = [
    "",
    "c",
    "correct-horsf",
    "correct-horse ",
    "é",
    "x".repeat(1e4),
  ];
  for (const token of tokens) {
    const url = `http://studio/login?token=${encodeURIComponent(token)}`;
    assertThrows(
      () => sessions.login(new Request(url)),
      Error,
      "The token is wrong",
    );
  }
  // Time itself cannot be measured so finely here: nothing else may compare.
  const source = await Deno.readTextFile(
    repositoryPath("src/studio/http/sessions.ts"),
  );
  assertMatch(source, /timingSafeEqual\(hash\(given\), hash\(expected\)\)/);
  assert(
    !/[!=]==? (this\.#token|this\.#sign)|(#token|signature|given) [!=]==? (?!undefined)/
      .test(source),
  );
  assertMatch(makeToken(), /^[\w-]{32}$/);
  assert(makeToken() !== makeToken());
});

Deno.test("attack: no path leaves the API", async () => {
  await withStudio({}, async (url) => {
    const job = await (await postJson(`${url}/api/generate`, good)).json();
    const paths = [
      "/api/jobs/..%2f..%2f..%2fetc%2fpasswd",
      `/api/jobs/${job.id}/images/..%2f..%2fdeno.json`,
      `/api/jobs/${job.id}/images/0%00.png`,
      `/api/jobs/${job.id}/references/-1`,
      "/docs/..%2f..%2fpackage.json",
      "/docs/%2e%2e/package.json",
      "/../../../../etc/passwd",
      "//etc/passwd",
      "/api/identities/__proto__/faces/constructor",
      "/api/jobs/constructor",
      "/api/jobs/%zz",
      "/api/jobs/%ff%fe",
    ];
    for (const path of paths) {
      const { status, body } = await rawRequest(url, [`GET ${path} HTTP/1.1`]);
      assert(status === 404 || status === 400, `${path}: ${status}`);
      assert(!body.includes("root:"), path);
    }
  });
});

Deno.test("attack: names in a form are only names", async () => {
  await withStudio({}, async (url) => {
    const form = new FormData();
    form.set("prompt", "a man");
    form.set("steps", "1");
    form.set("references", new File([drawnPhoto()], "../../etc/passwd\0.png"));
    const response = await fetch(`${url}/api/generate`, {
      method: "POST",
      body: form,
    });
    const text = await response.text();
    assertEquals(response.status, 202);
    assert(!text.includes("passwd"));
    for (
      const name of ["__proto__", "constructor", "../x", "adapter", "model"]
    ) {
      const form = new FormData();
      form.set("prompt", "a man");
      form.set(name, "/etc/passwd");
      const response = await fetch(`${url}/api/generate`, {
        method: "POST",
        body: form,
      });
      const { error } = await response.json();
      assertEquals(response.status, 400);
      assert(
        error.message.startsWith(`Field ${name} is unknown`),
        error.message,
      );
    }
  });
});

Deno.test("attack: no field names a file of the server", async () => {
  await withStudio({}, async (url) => {
    for (const name of ["adapter", "model", "output", "ref", "fromImage"]) {
      const body = { ...good, [name]: "/etc/passwd" };
      const unknown = new RegExp(`^Field ${name} is unknown`);
      await refused(`${url}/api/generate`, body, 400, unknown);
    }
    const body = { ...good, references: ["file:///etc/passwd"] };
    await refused(`${url}/api/generate`, body, 400, /must be a data URL/);
  });
});

Deno.test("attack: a header cannot be injected", async () => {
  await withStudio({}, async (url) => {
    const evil = "%0d%0aSet-Cookie:%20a=b";
    const paths = [
      `/api/jobs/${evil}`,
      `/api/jobs/x/images/${evil}`,
      `/login?token=x${evil}`,
      `/${evil}`,
    ];
    for (const path of paths) {
      const { head } = await rawRequest(url, [`GET ${path} HTTP/1.1`]);
      assert(!/^set-cookie/im.test(head), head);
    }
    const response = await postJson(`${url}/api/generate`, {
      ...good,
      prompt: "a\r\nSet-Cookie: a=b\r\n\r\n<script>",
    });
    const { id } = await response.json();
    assertEquals(response.headers.get("set-cookie"), null);
    const { head, status } = await rawRequest(url, [
      `GET /api/jobs/${id}/events HTTP/1.1`,
      "Last-Event-ID: 1\r\n X: y",
    ]);
    assert(status === 200 || status === 400);
    assert(!/^x:/im.test(head));
  });
});

Deno.test("attack: every answer keeps browsers from guessing, framing and leaking", async () => {
  await withStudio({}, async (url) => {
    for (const path of ["/api/health", "/docs", "/nothing", "/api/jobs/x"]) {
      const { headers, body } = await fetch(url + path);
      await body?.cancel();
      assertEquals(headers.get("x-content-type-options"), "nosniff");
      assertEquals(headers.get("referrer-policy"), "no-referrer");
      assertEquals(headers.get("x-frame-options"), "DENY");
      assertEquals(headers.get("cross-origin-resource-policy"), "same-origin");
      const policy = headers.get("content-security-policy") ?? "";
      assertMatch(policy, /default-src 'none'/);
      assert(!/script-src[^;]*unsafe/.test(policy));
    }
  });
});
