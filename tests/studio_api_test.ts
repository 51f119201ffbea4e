/**
 * The studio's own API, with an engine that draws: what each operation answers,
 * and the events of a job.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { postJson, references, withStudio } from "./support/studio_server.ts";

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

Deno.test("choices that photos or the model cannot follow are refused at once", async () => {
  await withStudio({}, async (url, { studio }) => {
    // The engine that draws finds faces, and does not align them.
    const cases: [field: string, choices: object, message: RegExp][] = [
      ["face", { face: [0, 1] }, /one for each of the 1 reference, got 2/],
      ["face", { face: "largest" }, /--with-landmarks/],
      ["face", { face: [1] }, /--with-landmarks/],
      ["requireFace", { align: true, requireFace: true }, /--with-landmarks/],
    ];
    const bodies = (choices: object): [path: string, body: object][] => [
      ["/api/identities", { references, ...choices }],
      ["/api/generate", { references, prompt: "a man", ...choices }],
      ["/v1/images/generations", {
        prompt: "a man",
        masterweaver: { references, ...choices },
      }],
    ];
    for (const [field, choices, message] of cases) {
      for (const [path, body] of bodies(choices)) {
        const response = await postJson(url + path, body);
        const { error } = await response.json();
        assertEquals([response.status, error.field ?? error.param], [
          400,
          field,
        ]);
        assertMatch(error.message, message);
      }
    }
    assertEquals([...studio.jobs.all()], []);
    for (
      const choices of [{ requireFace: true }, { align: true }, {
        face: "best",
      }]
    ) {
      const [[path, body]] = bodies(choices);
      const response = await postJson(url + path, body);
      assertEquals(response.status, 201, await response.text());
    }
  });
});
