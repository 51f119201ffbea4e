/**
 * The studio's own API, with an engine that draws: what each operation answers,
 * and the events of a job.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  dataUrl,
  drawnPhoto,
  postJson,
  withStudio,
} from "./support/studio_server.ts";

const references = [dataUrl(drawnPhoto())];

Deno.test("a job makes images that can be fetched", async () => {
  await withStudio({}, async (url) => {
    const response = await postJson(`${url}/api/generate`, {
      references,
      prompt: "a man",
      seed: "18446744073709551615",
      numImages: 2,
      steps: 2,
    });
    assertEquals(response.status, 202);
    const job = await response.json();
    assertEquals(response.headers.get("location"), `/api/jobs/${job.id}`);
    assertEquals(job.settings.seed, "18446744073709551615");
    const events = await (await fetch(`${url}/api/jobs/${job.id}/events`))
      .text();
    assertMatch(events, /event: done\n/);
    const done = await (await fetch(`${url}/api/jobs/${job.id}`)).json();
    assertEquals(done.state, "done");
    assertEquals(done.images.length, 2);
    const image = await fetch(url + done.images[1].url);
    assertEquals(image.headers.get("content-type"), "image/png");
    assert((await image.bytes()).length > 50);
    const face = await fetch(url + done.references[0].url);
    assertEquals(
      (await face.bytes()).slice(1, 4),
      new TextEncoder().encode("PNG"),
    );
  });
});

Deno.test("a request that is sent again with its key gets the same job", async () => {
  await withStudio({ stepTime: 20 }, async (url, { studio }) => {
    const key = crypto.randomUUID();
    const post = async (key: string, prompt = "a man") => {
      const response = await fetch(`${url}/api/generate`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "idempotency-key": key,
        },
        body: JSON.stringify({ references, prompt, steps: 1 }),
      });
      return { status: response.status, ...await response.json() };
    };
    const both = await Promise.all([post(key), post(key)]);
    assertEquals(both.map(({ status, id }) => [status, id]), [
      [202, key],
      [202, key],
    ]);
    await studio.jobs.get(key).ended;
    assertEquals((await post(key.toUpperCase())).state, "done");
    assertEquals([...studio.jobs.all()].length, 1);
    const { status, error } = await post("1");
    assertEquals([status, error.field], [400, "idempotency-key"]);
    // What was refused may be put right, and sent with the same key.
    const other = crypto.randomUUID();
    assertEquals((await post(other, "a".repeat(10_001))).status, 400);
    assertEquals((await post(other)).id, other);
  });
});

Deno.test("an option that cannot be used is named as a field", async () => {
  await withStudio({}, async (url) => {
    const cases: [string, unknown][] = [
      ["seed", "18446744073709551616"],
      ["guidanceRange", [0.9, 0.1]],
      ["width", 8196],
    ];
    for (const [field, value] of cases) {
      const response = await postJson(`${url}/api/generate`, {
        references,
        prompt: "a man",
        [field]: value,
      });
      const { error } = await response.json();
      assertEquals([response.status, error.field], [400, field]);
    }
  });
});
