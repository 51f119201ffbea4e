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

async function studioOn(url: string, maxWaiting = 10): Promise<RunningStudio> {
  const queue = await openQueue(url, { maxWaiting });
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
    assertEquals(
      (await fetch(`${studio.url}/api/health`).then(async (
        answer,
      ) => (await answer.body?.cancel(), answer))).status,
      200,
    );
    assertEquals(await stateOf(job), "waiting");
    await redis.resume();
    await using _ = await openWorker(redis.url);
    await until("it is done", async () => await stateOf(job) === "done");
  },
);
