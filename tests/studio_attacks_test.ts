/**
 * What somebody may try against a studio: each is refused with a reason, and the
 * server goes on.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { pngChunk } from "../src/host/codecs/png_chunks.ts";
import { PNG_SIGNATURE } from "../src/image/signature.ts";
import { WorkerPhotoReader } from "../src/studio/engine/photo_reader.ts";
import { allowedHosts } from "../src/studio/http/guard.ts";
import { repositoryPath } from "./support/paths.ts";
import { connect, rawRequest } from "./support/raw_http.ts";
import {
  dataUrl,
  drawnPhoto,
  postJson,
  withStudio,
} from "./support/studio_server.ts";

const references = [dataUrl(drawnPhoto())];
const good = { references, prompt: "a man", steps: 1 };

/** Sends JSON and checks that it is refused as expected. */
async function refused(
  url: string,
  body: unknown,
  status: number,
  message: RegExp,
): Promise<void> {
  const response = await postJson(url, body);
  const { error } = await response.json();
  assertEquals(response.status, status);
  assertMatch(error.message, message);
}

Deno.test("a page of another site cannot use the studio", async () => {
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

Deno.test("a name that was made to mean this machine is refused", async () => {
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

Deno.test("other names are let in only where they were given", () => {
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

Deno.test("types that a form of another site can send are refused", async () => {
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

Deno.test("a token is needed where there is one", async () => {
  await withStudio({ token: "correct-horse" }, async (url) => {
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
    assertEquals(await status({}, "/"), 401);
    assertEquals(await status({}, "/api/health"), 200);
    assertEquals(await status({ authorization: "Bearer wrong" }), 401);
    assertEquals(await status({ authorization: "Bearer correct-hors" }), 401);
    assertEquals(await status({ authorization: "Bearer correct-horse" }), 200);
    assertEquals(await status({ "x-api-key": "correct-horse" }), 200);
    assertEquals(await status({}, "/login?token=wrong"), 401);
    const login = await fetch(`${url}/login?token=correct-horse`, {
      redirect: "manual",
    });
    await login.body?.cancel();
    const cookie = login.headers.get("set-cookie") ?? "";
    assertMatch(cookie, /HttpOnly; SameSite=Strict/);
    assert(!cookie.includes("correct-horse"));
    assertEquals(login.headers.get("location"), "/");
    const [pair] = cookie.split(";");
    assertEquals(await status({ cookie: `a=b; ${pair}` }), 200);
    assertEquals(await status({ cookie: pair.replace("=", "=0") }), 401);
    assertEquals(await status({ cookie: pair.slice(0, -1) }), 401);
  });
});

Deno.test("no path leaves the API", async () => {
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

Deno.test("names in a form are only names", async () => {
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

Deno.test("no field names a file of the server", async () => {
  await withStudio({}, async (url) => {
    for (const name of ["adapter", "model", "output", "ref", "fromImage"]) {
      await refused(
        `${url}/api/generate`,
        { ...good, [name]: "/etc/passwd" },
        400,
        new RegExp(`^Field ${name} is unknown`),
      );
    }
    await refused(
      `${url}/api/generate`,
      { ...good, references: ["file:///etc/passwd"] },
      400,
      /must be a data URL/,
    );
  });
});

Deno.test("keys of a prototype are unknown fields", async () => {
  await withStudio({}, async (url) => {
    const bodies = [
      '{"__proto__": {"steps": 1}, "prompt": "a"}',
      '{"constructor": {"prototype": {"x": 1}}, "prompt": "a"}',
      '{"toString": 1, "prompt": "a"}',
    ];
    for (const body of bodies) {
      const response = await fetch(`${url}/api/generate`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      const { error } = await response.json();
      assertEquals(response.status, 400);
      assertMatch(
        error.message,
        /^Field (__proto__|constructor|toString) is unknown/,
      );
    }
    assertEquals(Object({}).steps, undefined);
    assertEquals(Object({}).x, undefined);
  });
});

/** A PNG of black pixels whose header and content say what they like. */
async function png(width: number, height: number, zeros: number) {
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, 2, 0, 0, 0], 8);
  const million = new Uint8Array(2 ** 20);
  const zlib = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => {
      for (let left = zeros; left > 0; left -= million.length) {
        controller.enqueue(million.subarray(0, left));
      }
      controller.close();
    },
  }).pipeThrough(new CompressionStream("deflate"));
  const data = await new Response(zlib).bytes();
  return await new Blob([
    Uint8Array.from(PNG_SIGNATURE),
    new Uint8Array(pngChunk("IHDR", header)),
    new Uint8Array(pngChunk("IDAT", data)),
    new Uint8Array(pngChunk("IEND", new Uint8Array())),
  ]).bytes();
}

Deno.test("a photo of 100,000 pixels a side is refused by its header", async () => {
  await withStudio({}, async (url) => {
    for (
      const [width, height] of [[100_000, 100_000], [100_000, 16], [8000, 7000]]
    ) {
      const photo = dataUrl(await png(width, height, 100));
      const message = new RegExp(`${width}x${height} pixels`);
      await refused(`${url}/api/faces`, { photo }, 413, message);
      await refused(
        `${url}/api/generate`,
        { ...good, references: [photo] },
        413,
        message,
      );
      await refused(
        `${url}/api/identities`,
        { references: [photo] },
        413,
        message,
      );
    }
  });
});

Deno.test("a PNG that inflates without end is refused, quickly", async () => {
  const model = repositoryPath("weights/mini");
  const photos = new WorkerPhotoReader({ model, aligns: false });
  await withStudio({ photos }, async (url) => {
    const bomb = await png(64, 64, 500 * 2 ** 20);
    assert(bomb.length < 2 ** 20);
    const started = performance.now();
    const response = await postJson(`${url}/api/faces`, {
      photo: dataUrl(bomb),
    });
    const body = await response.json();
    // The surplus may be ignored, but not inflated.
    assert([200, 422].includes(response.status), JSON.stringify(body));
    assert(performance.now() - started < 10_000);
    // As many pixels as are allowed, and next to no data.
    const promise = await png(7000, 7000, 1000);
    await refused(
      `${url}/api/faces`,
      { photo: dataUrl(promise) },
      422,
      /cannot hold/,
    );
  });
});

Deno.test("what is no photo is refused by its content", async () => {
  await withStudio({}, async (url) => {
    const files: [Uint8Array, RegExp][] = [
      [new TextEncoder().encode("<svg onload=alert(1)>"), /PNG or JPEG/],
      [new TextEncoder().encode("GIF89a12345678"), /GIF/],
      [new Uint8Array(), /PNG or JPEG|data URL/],
    ];
    for (const [bytes, message] of files) {
      await refused(
        `${url}/api/faces`,
        { photo: dataUrl(bytes) },
        415,
        message,
      );
    }
    await refused(
      `${url}/api/faces`,
      { photo: dataUrl(new Uint8Array(20_000_001)) },
      413,
      /20000001 bytes/,
    );
  });
});

Deno.test("a header cannot be injected", async () => {
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

Deno.test("a prompt of a million letters is refused, with the limit", async () => {
  await withStudio({}, async (url) => {
    const response = await postJson(`${url}/api/generate`, {
      ...good,
      prompt: "a".repeat(1e6),
    });
    const text = await response.text();
    assertEquals(response.status, 400);
    assertMatch(text, /Field prompt .*10000/);
    assert(text.length < 500);
  });
});

Deno.test("a million nested arrays are refused before they are parsed", async () => {
  await withStudio({}, async (url) => {
    const deep = (start: string, end: string) =>
      start + "[".repeat(1e6) + "]".repeat(1e6) + end;
    const bodies = [
      deep("", ""),
      deep('{"prompt": "a", "guidanceRange": ', "}"),
      '{"a":'.repeat(1e6),
      // Brackets in a string do not count, and a quote may be escaped.
      `{"prompt": "\\\\", "x": "\\"${"[".repeat(100)}"`,
    ];
    for (const [i, body] of bodies.entries()) {
      const started = performance.now();
      const response = await fetch(`${url}/api/generate`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      const { error } = await response.json();
      assertEquals(response.status, 400);
      assertMatch(error.message, i < 3 ? /nested deeper than 32/ : /not JSON/);
      assert(performance.now() - started < 2000);
    }
  });
});

Deno.test("a body larger than its limit is not read to its end", async () => {
  await withStudio({ limits: { bytes: 100_000 } }, async (url) => {
    const announced = await rawRequest(url, [
      "POST /api/generate HTTP/1.1",
      "Content-Type: application/json",
      "Content-Length: 100001",
    ]);
    assertEquals(announced.status, 413);
    const chunk = `10000\r\n${" ".repeat(65536)}\r\n`;
    const unannounced = await rawRequest(url, [
      "POST /api/generate HTTP/1.1",
      "Content-Type: application/json",
      "Transfer-Encoding: chunked",
    ], chunk.repeat(2));
    assertEquals(unannounced.status, 413);
    assertMatch(unannounced.body, /more than 100000 bytes/);
  });
});

Deno.test("slow senders are given up, and hold nobody else up", async () => {
  await withStudio({ limits: { idle: 300, total: 900 } }, async (url) => {
    const { host } = new URL(url);
    const head = (path: string) =>
      new TextEncoder().encode(
        `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n`,
      );
    const heads = await Promise.all(
      Array.from({ length: 100 }, () => connect(url)),
    );
    for (const connection of heads) await connection.write(head("/api/faces"));
    const idle = await connect(url);
    await idle.write(head("/api/faces"));
    await idle.write(new TextEncoder().encode("\r\n{"));
    const steady = await connect(url);
    await steady.write(head("/api/faces"));
    await steady.write(new TextEncoder().encode("\r\n{"));
    const drip = setInterval(() => {
      steady.write(new TextEncoder().encode(" ")).catch(() => {});
    }, 50);
    const started = performance.now();
    const health = await fetch(`${url}/api/health`);
    await health.body?.cancel();
    assert(performance.now() - started < 500);
    for (const connection of [idle, steady]) {
      const buffer = new Uint8Array(4096);
      const count = await connection.read(buffer) ?? 0;
      const text = new TextDecoder().decode(buffer.subarray(0, count));
      assertMatch(text, /^HTTP\/1\.1 408 /);
    }
    assert(performance.now() - started < 5000);
    clearInterval(drip);
    for (const connection of [...heads, idle, steady]) connection.close();
  });
});

Deno.test("a form that is none is refused", async () => {
  await withStudio({}, async (url) => {
    const bodies: [type: string, body: string][] = [
      ["multipart/form-data", "x"],
      ["multipart/form-data; boundary=x", "no boundary"],
      ["multipart/form-data; boundary=x", "--x\r\n\r\nno name\r\n--x--"],
      [
        "multipart/form-data; boundary=x",
        '--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\ncut',
      ],
      [
        "multipart/form-data; boundary=x",
        '--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na\r\n'
          .repeat(1000) + "--x--\r\n",
      ],
    ];
    for (const [type, body] of bodies) {
      const response = await fetch(`${url}/api/generate`, {
        method: "POST",
        headers: { "content-type": type },
        body,
      });
      const { error } = await response.json();
      assertEquals(response.status, 400, body.slice(0, 100));
      assertEquals(error.code, "bad-request");
    }
  });
});

Deno.test("every answer keeps browsers from guessing, framing and leaking", async () => {
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
