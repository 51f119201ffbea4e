/**
 * Hostile bodies: photos, JSON and forms that are made to cost the server more
 * than the client, and clients that are slow on purpose.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { WorkerPhotoReader } from "../src/studio/engine/photo_reader.ts";
import { repositoryPath } from "./support/paths.ts";
import { hugeHeader, pixelBomb, settingsBombs } from "./support/bombs.ts";
import { begin, connect, rawRequest, readAnswer } from "./support/raw_http.ts";
import {
  dataUrl,
  drawnPhoto,
  good,
  postJson,
  refused,
  withStudio,
} from "./support/studio_server.ts";

/** Sends a text as JSON, be it JSON or not. */
function sendText(url: string, body: string): Promise<Response> {
  return fetch(`${url}/api/generate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
}

Deno.test("attack: keys of a prototype are unknown fields", async () => {
  await withStudio({}, async (url) => {
    const bodies = [
      '{"__proto__": {"steps": 1}, "prompt": "a"}',
      '{"constructor": {"prototype": {"x": 1}}, "prompt": "a"}',
      '{"toString": 1, "prompt": "a"}',
    ];
    for (const body of bodies) {
      const response = await sendText(url, body);
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

Deno.test("attack: a photo of 100,000 pixels a side is refused by its header", async () => {
  await withStudio({}, async (url) => {
    for (
      const [width, height] of [[100_000, 100_000], [100_000, 16], [8000, 7000]]
    ) {
      const photo = dataUrl(hugeHeader(width, height));
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

Deno.test("attack: a PNG that inflates without end is not inflated", async () => {
  const model = repositoryPath("weights/mini");
  const photos = new WorkerPhotoReader({ model, aligns: false });
  await withStudio({ photos }, async (url) => {
    const faces = (photo: Uint8Array) =>
      postJson(`${url}/api/faces`, { photo: dataUrl(photo) });
    // The Worker starts with the first photo.
    await (await faces(drawnPhoto())).body?.cancel();
    const started = performance.now();
    const response = await faces(pixelBomb());
    // The surplus is ignored, and not inflated.
    assertEquals(response.status, 200, await response.text());
    // 3 s allow for a busy machine.
    assert(performance.now() - started < 3000);
    // As many pixels as are allowed, and next to no data.
    const photo = dataUrl(hugeHeader(7000, 7000));
    await refused(`${url}/api/faces`, { photo }, 422, /cannot hold/);
  });
});

Deno.test("attack: settings without end hold nobody up", async () => {
  await withStudio({}, async (url) => {
    for (const file of settingsBombs()) {
      const started = performance.now();
      const response = await postJson(`${url}/sdapi/v1/png-info`, {
        image: file.toBase64(),
      });
      const text = await response.text();
      assertEquals(response.status, 200);
      assert(text.length < 2_200_000, `An answer of ${text.length} bytes`);
      const { parameters, items } = JSON.parse(text);
      assertEquals(parameters, {});
      assert(Object.keys(items).length <= 64);
      const seconds = (performance.now() - started) / 1000;
      assert(seconds < 2, `It took ${seconds.toFixed(1)} s`);
    }
  });
});

Deno.test("attack: what is no photo is refused by its content", async () => {
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

Deno.test("attack: a prompt of a million letters is refused, with the limit", async () => {
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

Deno.test("attack: a million nested arrays are refused before they are parsed", async () => {
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
      const response = await sendText(url, body);
      const { error } = await response.json();
      assertEquals(response.status, 400);
      assertMatch(error.message, i < 3 ? /nested deeper than 32/ : /not JSON/);
      assert(performance.now() - started < 2000);
    }
  });
});

Deno.test("attack: a body that is large by anything but texts is refused, quickly", async () => {
  await withStudio({}, async (url) => {
    const bodies = {
      values: `{"prompt": "a", "guidanceRange": [${"1,".repeat(2e6)}1]}`,
      keys: `{${'"a":1,'.repeat(1e6)}"b":1}`,
      number: `{"steps": ${"1".repeat(2e6)}}`,
      backslashes: `{"prompt": "${"\\u0061".repeat(1e6)}"}`,
    };
    for (const [name, body] of Object.entries(bodies)) {
      const started = performance.now();
      const response = await sendText(url, body);
      const { error } = await response.json();
      assertEquals(response.status, 400, name);
      assertMatch(error.message, /^The body has more than/);
      assert(performance.now() - started < 1000, name);
    }
  });
});

Deno.test("attack: a body larger than its limit is not read to its end", async () => {
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

Deno.test("attack: bodies that are only announced take no memory", async () => {
  await withStudio({}, async (url) => {
    const before = Deno.memoryUsage().external;
    using connections = new DisposableStack();
    for (let i = 0; i < 20; i++) {
      const head = [
        "POST /api/generate HTTP/1.1",
        "Content-Type: multipart/form-data; boundary=x",
        "Content-Length: 80000000",
      ];
      connections.use(await begin(url, head, "--x"));
    }
    for (let i = 0; i < 3; i++) await (await fetch(`${url}/api/health`)).text();
    const megabytes = (Deno.memoryUsage().external - before) / 1e6;
    assert(megabytes < 100, `${megabytes.toFixed(0)} MB`);
  });
});

Deno.test("attack: bodies that come too slowly are given up", async () => {
  await withStudio({ limits: { idle: 300, total: 900 } }, async (url) => {
    const head = [
      "POST /api/faces HTTP/1.1",
      "Content-Type: application/json",
      "Content-Length: 1000",
    ];
    using idle = await begin(url, head, "{");
    using steady = await begin(url, head, "{");
    const drip = setInterval(() => {
      steady.write(new TextEncoder().encode(" ")).catch(() => {});
    }, 50);
    const started = performance.now();
    for (const connection of [idle, steady]) {
      // The connection is closed, too: the rest would pass for a request.
      const { status, body } = await readAnswer(connection);
      assertEquals(status, 408);
      assertMatch(body, /too slowly/);
    }
    clearInterval(drip);
    assert(performance.now() - started < 5000);
  });
});

Deno.test("attack: half a head, or none, does not keep a connection", async () => {
  const connections = { head: 400, idle: 400, most: 100 };
  await withStudio({ connections }, async (url) => {
    const heads = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const connection = await connect(url);
        const text = ["", "GET / HTTP/1.1\r\nHost: a", "G"][i % 3];
        await connection.write(new TextEncoder().encode(text));
        return connection;
      }),
    );
    // All places are taken, until the server has lost its patience.
    using late = await connect(url);
    await readAnswer(late);
    for (const connection of heads) {
      const { status } = await readAnswer(connection);
      assert(status === 408 || status === 400 || status === 0, String(status));
      connection.close();
    }
    const health = await fetch(`${url}/api/health`);
    assertEquals((await health.json()).status, "ok");
  });
});

Deno.test("attack: who does not read an answer loses it", async () => {
  const connections = { unread: 300 };
  const page = () => new Response(new Uint8Array(50_000_000));
  await withStudio({ connections, page }, async (url) => {
    using connection = await begin(url, ["GET / HTTP/1.1"]);
    // A connection that the server has given up takes nothing more.
    let isOpen = true;
    for (let i = 0; i < 200 && isOpen; i++) {
      await new Promise((resolve) => setTimeout(resolve, 25));
      isOpen = await connection.write(new Uint8Array([13, 10]))
        .then(() => true, () => false);
    }
    assert(!isOpen);
  });
});

Deno.test("attack: a form that is none is refused", async () => {
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
