/**
 * The studio whose jobs wait in Redis: its clients notice nothing of it, until
 * Redis is away.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DrawingEngine } from "./support/drawing_engine.ts";
import { openQueue, openWorker, until } from "./support/redis_jobs.ts";
import { RedisServer, redisTest } from "./support/redis_server.ts";
import {
  dataUrl,
  drawnPhoto,
  OneFace,
  postJson,
} from "./support/studio_server.ts";
import { type RunningStudio, startStudio } from "../src/studio/serve.ts";

const body = {
  references: [dataUrl(drawnPhoto())],
  prompt: "a man",
  steps: 3,
  preview: true,
};

async function studioOn(
  url: string,
  maxWaiting = 10,
  onWarning?: (line: string) => void,
): Promise<RunningStudio> {
  const queue = await openQueue(url, { maxWaiting, onWarning });
  return startStudio({ port: 0, queue, photos: new OneFace() });
}

/** Posts a job; its path. */
async function posted({ url }: RunningStudio): Promise<string> {
  const response = await postJson(`${url}/api/generate`, body);
  assertEquals(response.status, 202, await response.clone().text());
  await response.body?.cancel();
  return url + response.headers.get("location");
}

async function stateOf(job: string): Promise<string> {
  return (await (await fetch(job)).json()).state;
}

redisTest(
  "redis: events of a job stream from a worker to a client",
  async () => {
    await using redis = await RedisServer.start(false);
    await using studio = await studioOn(redis.url);
    const job = await posted(studio);
    const stream = await fetch(`${job}/events`);
    const engine = new DrawingEngine({ stepTime: 100 });
    await using _ = await openWorker(redis.url, engine);
    const events = await stream.text();
    const types = [...events.matchAll(/^event: (.*)$/gm)].map(([, type]) =>
      type
    );
    // Of steps some may be left out, where Redis is slow.
    assertEquals([...new Set(types)], [
      ...["queued", "started", "references", "progress", "preview"],
      ...["image", "done"],
    ]);
    assertStringIncludes(events, "data:image/png;base64,");
    const { images } = await (await fetch(job)).json();
    const image = await fetch(studio.url + images[0].url);
    assertEquals((await image.bytes()).slice(1, 4), Uint8Array.of(80, 78, 71));
  },
);

redisTest(
  "redis: it is told that no worker is there, and how many jobs come first",
  async () => {
    await using redis = await RedisServer.start(false);
    const lines: string[] = [];
    await using studio = await studioOn(redis.url, 10, (line) => {
      lines.push(line);
    });
    const health = async () =>
      await (await fetch(`${studio.url}/api/health`)).json();
    await until("it is logged", () => lines.length > 0);
    assertStringIncludes(lines[0], "No worker has the model drawn");
    const { references } = body;
    const person = postJson(`${studio.url}/api/identities`, { references });
    await until("the person waits", async () => (await health()).waiting === 1);
    const jobs = [await posted(studio), await posted(studio)];
    const places = jobs.map(async (job) =>
      (await (await fetch(job)).json()).position
    );
    // A person to be encoded is no job.
    assertEquals(await Promise.all(places), [0, 1]);
    assertEquals((await health()).workers, 0);
    await using _ = await openWorker(redis.url);
    await (await person).body?.cancel();
    await until("it is seen", async () => (await health()).workers === 1);
    assertEquals(lines.length, 2);
    assertStringIncludes(lines[1], "is there, with the model drawn");
  },
);

redisTest("redis: more than may wait are told when to come back", async () => {
  await using redis = await RedisServer.start(false);
  await using studio = await studioOn(redis.url, 2);
  const first = await posted(studio);
  await posted(studio);
  const refused = await postJson(`${studio.url}/api/generate`, body);
  assertEquals(refused.status, 503);
  assert(Number(refused.headers.get("retry-after")) > 0);
  assertEquals((await refused.json()).error.code, "queue-full");
  await (await fetch(first, { method: "DELETE" })).body?.cancel();
  assertEquals(await stateOf(first), "cancelled");
  await posted(studio);
});

redisTest(
  "redis: while Redis is away jobs are refused, and those taken in go on later",
  async () => {
    await using redis = await RedisServer.start(true);
    await using studio = await studioOn(redis.url);
    const job = await posted(studio);
    await redis.kill();
    const refused = await postJson(`${studio.url}/api/generate`, body);
    assertEquals(refused.status, 503);
    assert(Number(refused.headers.get("retry-after")) > 0);
    assertEquals((await refused.json()).error.code, "queue-away");
    const health = await fetch(`${studio.url}/api/health`);
    await health.body?.cancel();
    assertEquals(health.status, 200);
    assertEquals(await stateOf(job), "waiting");
    await redis.resume();
    await using _ = await openWorker(redis.url);
    await until("it is done", async () => await stateOf(job) === "done");
  },
);
