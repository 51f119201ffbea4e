/**
 * Jobs over HTTP: the queue and its limits, turns of clients, events that go on
 * where a connection broke, and jobs that are stopped.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { checkSettings } from "../src/options/options.ts";
import { noSources } from "../src/studio/engine/engine.ts";
import { ApiError } from "../src/studio/errors.ts";
import { Job } from "../src/studio/jobs/job.ts";
import { LocalQueue } from "../src/studio/jobs/local_queue.ts";
import { JobStore } from "../src/studio/jobs/store.ts";
import { DrawingEngine } from "./support/drawing_engine.ts";
import { begin } from "./support/raw_http.ts";
import {
  dataUrl,
  drawnPhoto,
  good,
  postJson,
  references,
  withStudio,
} from "./support/studio_server.ts";

async function add(url: string, fields: object = {}): Promise<string> {
  const response = await postJson(`${url}/api/generate`, {
    ...good,
    ...fields,
  });
  const { id } = await response.json();
  assertEquals(response.status, 202);
  return id;
}

/** A job's events as text, after one. */
async function events(url: string, id: string, after?: number) {
  const response = await fetch(`${url}/api/jobs/${id}/events`, {
    headers: after === undefined ? {} : { "last-event-id": String(after) },
  });
  return await response.text();
}

/** Waits until something holds, for five seconds. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !holds(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert(holds());
}

Deno.test("jobs: events go on after the last that was seen", async () => {
  await withStudio({}, async (url) => {
    const id = await add(url, { numImages: 2 });
    const all = await events(url, id);
    const ids = all.matchAll(/^id: (\d+)$/gm).map(([, id]) => Number(id))
      .toArray();
    assertEquals(ids, ids.toSorted((a, b) => a - b));
    const middle = ids[ids.length - 3];
    const rest = await events(url, id, middle);
    assertEquals(
      rest.matchAll(/^id: (\d+)$/gm).map(([, id]) => Number(id)).toArray(),
      ids.slice(-2),
    );
    assertMatch(rest, /event: done\n/);
    // Who has seen all of them is told nothing, but not left waiting.
    assert(!(await events(url, id, ids.at(-1))).includes("event:"));
    const head = await fetch(`${url}/api/jobs/${id}/events`, {
      method: "HEAD",
    });
    assertEquals([head.status, await head.text()], [200, ""]);
  });
});

Deno.test("jobs: who follows a job sees it go on, and its previews", async () => {
  await withStudio({ stepTime: 5 }, async (url) => {
    const id = await add(url, { steps: 5, preview: true });
    const text = await events(url, id);
    for (
      const type of ["started", "references", "progress", "preview", "image"]
    ) {
      assertMatch(text, new RegExp(`event: ${type}\n`));
    }
    assertMatch(text, /event: preview\ndata: .*data:image\/png;base64,/);
    // Once it has ended, nobody needs them.
    assert(!(await events(url, id)).includes("event: preview"));
  });
});

Deno.test("jobs: a full queue says when to come back", async () => {
  await withStudio({ maxWaiting: 2, stepTime: 20 }, async (url, { studio }) => {
    await add(url, { steps: 100 });
    await until(() => studio.queue.counts.running === 1);
    await add(url);
    await add(url);
    for (const path of ["/api/generate", "/api/identities"]) {
      const body = path.endsWith("generate") ? good : { references };
      const response = await postJson(url + path, body);
      assertEquals(response.status, 503);
      assertEquals(response.headers.get("retry-after"), "10");
      assertEquals((await response.json()).error.code, "queue-full");
    }
  });
});

Deno.test("jobs: a file of several jobs takes its room once", async () => {
  const engine = new DrawingEngine({ isInstant: true });
  await using queue = new LocalQueue(engine, {
    maxWaiting: 9,
    jobTimeout: 60_000,
    maxBytes: 150,
  });
  const { model } = engine;
  const settings = checkSettings({ prompt: "", steps: 1 }, model.size);
  const jobWith = (bytes: Uint8Array<ArrayBuffer>) =>
    new Job("someone", {
      settings,
      person: null,
      sources: { initImage: { bytes, hash: "" }, controls: [] },
      format: "png",
      preview: false,
      modelHash: model.hash,
    });
  const file = new Uint8Array(100);
  const jobs = [jobWith(file), jobWith(file), jobWith(file)];
  for (const job of jobs) await queue.add(job);
  const error = await assertRejects(
    async () => await queue.add(jobWith(file.slice())),
    ApiError,
  );
  assertEquals(error.code, "queue-full");
  await Promise.all(jobs.map(({ ended }) => ended));
});

Deno.test("jobs: clients take turns", async () => {
  const token = "correct-horse";
  await withStudio({ token, stepTime: 15 }, async (url, { studio }) => {
    const login = async () => {
      const response = await fetch(`${url}/login?token=${token}`, {
        redirect: "manual",
      });
      await response.body?.cancel();
      return response.headers.get("set-cookie")!.split(";")[0];
    };
    const send = (cookie: string, seed: number) =>
      fetch(`${url}/api/generate`, {
        method: "POST",
        headers: { cookie, "content-type": "application/json" },
        body: JSON.stringify({ ...good, seed, steps: 3 }),
      }).then((response) => response.json());
    const [a, b] = [await login(), await login()];
    for (let seed = 0; seed < 6; seed++) await send(a, seed);
    for (let seed = 100; seed < 102; seed++) await send(b, seed);
    const jobs = [...studio.jobs.all()];
    await Promise.all(jobs.map(({ ended }) => ended));
    const order = jobs.toSorted((a, b) => a.endedAt! - b.endedAt!)
      .map(({ request }) => Number(request.settings.seed));
    const last = order.findLastIndex((seed) => seed >= 100);
    assert(last < 6, `b waited for all of a: ${order}`);
    assert(order.indexOf(5) === 7, String(order));
    // Nobody sees another's list.
    const { length } = await (await fetch(`${url}/api/jobs`, {
      headers: { cookie: b },
    })).json();
    assertEquals(length, 2);
  });
});

Deno.test("jobs: people are not encoded without end while jobs wait", async () => {
  const engine = new DrawingEngine({ stepTime: 10 });
  await withStudio({ engine }, async (url, { studio }) => {
    let isOn = true;
    const flood = Array.from({ length: 8 }, async (_, i) => {
      for (let n = 0; n < 200 && isOn; n++) {
        const photo = dataUrl(drawnPhoto((i * 31 + n) % 256));
        const response = await postJson(`${url}/api/identities`, {
          references: [photo],
        });
        await response.body?.cancel();
      }
    });
    await until(() => engine.counts.encoded > 8);
    const id = await add(url);
    const { encoded } = engine.counts;
    await studio.jobs.get(id).ended;
    const between = engine.counts.encoded - encoded;
    isOn = false;
    await Promise.all(flood);
    // Four, its own person, and what was encoded as it came or went.
    assert(between <= 7, `${between} people came first`);
    assertEquals(studio.jobs.get(id).state, "done");
  });
});

Deno.test("jobs: who leaves while a person waits gives the place to others", async () => {
  await withStudio({ stepTime: 10, maxWaiting: 1 }, async (url, { studio }) => {
    const id = await add(url, { steps: 1000 });
    const job = studio.jobs.get(id);
    await until(() => job.state === "running");
    const { queue } = studio;
    const gone = new AbortController();
    const person = { photos: [], choices: {} };
    const left = assertRejects(
      () => queue.encode(person, gone.signal),
      MasterWeaverError,
    );
    const never = new AbortController().signal;
    await assertRejects(() => queue.encode(person, never), ApiError);
    gone.abort();
    assertEquals((await left).code, "aborted");
    assertEquals(job.state, "running");
    const next = queue.encode(person, never);
    await queue.cancel(job, "Enough");
    assertEquals((await next).faces, []);
  });
});

Deno.test("jobs: one that runs too long is ended, with the reason", async () => {
  await withStudio({ stepTime: 20, jobTimeout: 200 }, async (url) => {
    const id = await add(url, { steps: 1000 });
    const text = await events(url, id);
    assertMatch(
      text,
      /event: error\ndata: {"code":"timeout","message":"The job ran for 0\.2 s/,
    );
    const next = await add(url);
    assertMatch(await events(url, next), /event: done/);
  });
});

Deno.test("jobs: one that nobody listens to is stopped, where asked for", async () => {
  const options = { stepTime: 20, cancelUnwatched: 0.1 };
  await withStudio(options, async (url, { studio }) => {
    const id = await add(url, { steps: 1000 });
    const job = studio.jobs.get(id);
    const path = `/api/jobs/${id}/events`;
    const connection = await begin(url, [`GET ${path} HTTP/1.1`]);
    await connection.read(new Uint8Array(1000));
    await until(() => job.listeners === 1);
    connection.close();
    await job.ended;
    assertEquals(job.state, "cancelled");
    assertMatch(await events(url, id), /nobody listened any more/);
  });
});

Deno.test("jobs: stopping one that waits, runs or has ended", async () => {
  await withStudio({ stepTime: 10 }, async (url, { studio }) => {
    const stop = async (id: string) => {
      const response = await fetch(`${url}/api/jobs/${id}`, {
        method: "DELETE",
      });
      return (await response.json()).state;
    };
    const running = await add(url, { steps: 1000 });
    await until(() => studio.queue.counts.running === 1);
    const waiting = await add(url);
    assertEquals(await stop(waiting), "cancelled");
    await stop(running);
    await studio.jobs.get(running).ended;
    const done = await add(url);
    await studio.jobs.get(done).ended;
    assertEquals(await stop(done), "done");
    assertMatch(await events(url, running), /Stopped on request/);
  });
});

Deno.test("jobs: what has ended holds no photos, and gets old", async () => {
  using store = new JobStore({ bytes: 1e6, age: 50, jobs: 10 });
  const made = () =>
    new Job("a", {
      settings: { prompt: "a" } as Job["request"]["settings"],
      person: {
        photos: [{ bytes: new Uint8Array(1000), hash: "x" }],
        choices: {},
      },
      sources: {
        initImage: { bytes: new Uint8Array(1000), hash: "y" },
        controls: [],
      },
      format: "png",
      preview: false,
      modelHash: "",
    });
  const job = made();
  store.add(job);
  job.listen(0, () => {
    throw new Error("A listener's fault is not the job's");
  });
  job.report({ type: "cancelled", message: "Stopped" });
  assertEquals(job.request.person, null);
  assertEquals(job.request.sources, noSources);
  await until(() => [...store.all()].length === 0);
});

Deno.test("jobs: a bug ends its job without details, which the log has", async () => {
  const bugs: unknown[] = [];
  const engine = new DrawingEngine({});
  engine.generate = () => Promise.reject(new TypeError("x is not a function"));
  const onBug = (error: unknown) => bugs.push(error);
  await withStudio({ engine, onBug }, async (url) => {
    const id = await add(url);
    const text = await events(url, id);
    assertMatch(text, /event: error\n.*"code":"internal"/s);
    assert(!text.includes("is not a function"));
    assertEquals(bugs.map(String), ["TypeError: x is not a function"]);
  });
});
