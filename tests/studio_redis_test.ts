/**
 * Jobs on several machines through a real Redis: their way there and back, turns,
 * cancellation and models.
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { ApiError, errorResource, statusOf } from "../src/studio/errors.ts";
import { Job } from "../src/studio/jobs/job.ts";
import { pack, unpack } from "../src/studio/jobs/redis/encoding.ts";
import { pause } from "../src/studio/jobs/redis/timing.ts";
import { reportedError } from "../src/studio/jobs/reported_error.ts";
import { DrawingEngine } from "./support/drawing_engine.ts";
import {
  checkDone,
  HeardJob,
  openQueue,
  openWorker,
  photo,
  quick,
  until,
} from "./support/redis_jobs.ts";
import { RedisServer, redisTest } from "./support/redis_server.ts";

const never = new AbortController().signal;

Deno.test("redis: values with files, floats and large numbers come through", () => {
  const value = {
    seed: 2n ** 63n,
    list: [null, true, "text", { bytes: Uint8Array.of(0, 255) }],
    floats: Float32Array.of(0.5, -1e30),
    odd: Uint8Array.of(7),
  };
  const { json, files } = pack(value);
  assertEquals(files.map(({ length }) => length), [2, 8, 1]);
  assertEquals(unpack(json, files), value);
});

Deno.test("jobs: an error that was reported is the one that was thrown", () => {
  const errors = [
    new ApiError(413, "too-large", "A photo is too large", { field: "image" }),
    new ApiError(503, "queue-full", "Too many photos wait"),
    new ApiError(503, "queue-away", "Redis was away"),
    new ApiError(503, "worker", "Two workers were lost"),
    new MasterWeaverError("no-face", "There is no face"),
    new MasterWeaverError("out-of-memory", "The GPU has no memory left"),
  ];
  const seen = (error: unknown) => [statusOf(error), errorResource(error)];
  for (const error of errors) {
    assertEquals(seen(reportedError(errorResource(error))), seen(error));
  }
});

redisTest(
  "redis: a job's images, references and previews come back in order",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    const engine = new DrawingEngine({ stepTime: 100 });
    const { request } = new HeardJob("a", { seed: 2n ** 60n });
    const job = new Job("a", { ...request, preview: true });
    const types: string[] = [];
    job.listen(0, ({ event }) => types.push(event.type));
    await queue.add(job);
    await using _ = await openWorker(redis.url, engine);
    await job.ended;
    // Of steps some may be left out, where Redis is slow.
    assertEquals([...new Set(types)], [
      ...["queued", "started", "references", "progress", "preview"],
      ...["image", "done"],
    ]);
    assertEquals(job.faces.length, 1);
    assertEquals(job.images[0].mediaType, "image/png");
    assertEquals(queue.counts, { waiting: 0, running: 0 });
  },
);

redisTest(
  "redis: a person is encoded ahead of jobs, and used by its numbers",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    const first = new HeardJob("a");
    await queue.add(first);
    const encoding = queue.encode({
      photos: [photo(1, 2), photo(3)],
      choices: { parse: false },
    }, never);
    await until("both wait", () => queue.counts.waiting === 2);
    await using _ = await openWorker(redis.url);
    const person = await encoding;
    assertEquals(first.images.length, 0);
    const { tokens } = person.identity;
    assertEquals(Array.from(tokens), [2]);
    assertEquals(person.choices, { parse: false });
    const { request } = new HeardJob("a");
    const job = new Job("a", { ...request, person });
    await queue.add(job);
    await job.ended;
    assertEquals(job.faces.length, 2);
  },
);

redisTest("redis: errors of the engine come back as they were", async () => {
  await using redis = await RedisServer.start(false);
  await using queue = await openQueue(redis.url, { jobTimeout: 1000 });
  const engine = new DrawingEngine({ stepTime: 30, failsFor: "a failure" });
  const refused = new MasterWeaverError("no-face", "There is no face");
  engine.encode = (({ encode }) => (person, call) =>
    person.choices.requireFace
      ? Promise.reject(refused)
      : encode.call(engine, person, call))(engine);
  await using _ = await openWorker(redis.url, engine);
  const failing = new HeardJob("a", { prompt: "a failure" });
  const slow = new HeardJob("a", { steps: 1000 });
  await queue.add(failing);
  await queue.add(slow);
  const choices = { requireFace: true };
  const error = await assertRejects(
    () =>
      queue.encode({ photos: [photo(1)], choices }, never),
    MasterWeaverError,
  );
  assertEquals([error.code, error.message], ["no-face", "There is no face"]);
  await Promise.all([failing.ended, slow.ended]);
  assertEquals(failing.resource().error?.code, "gpu");
  assertEquals(slow.resource().error?.code, "timeout");
});

redisTest(
  "redis: clients take turns, and there is a most of jobs that wait",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url, { maxWaiting: 6 });
    const started: string[] = [];
    const jobs = new Map<string, HeardJob>();
    const added: Promise<void>[] = [];
    for (const name of ["a1", "a2", "a3", "b1", "b2", "c1"]) {
      const job = new HeardJob(name[0]);
      job.listen(0, ({ event }) => {
        if (event.type === "started") started.push(name);
      });
      jobs.set(name, job);
      added.push(queue.add(job));
    }
    const tooMany = await assertRejects(
      () => queue.add(new HeardJob("d")),
      ApiError,
      "6 jobs wait already",
    );
    assertEquals([tooMany.status, tooMany.code], [503, "queue-full"]);
    await Promise.all(added);
    await until(
      "all know their place",
      () => jobs.get("a3")!.resource().position === 5,
    );
    await using _ = await openWorker(redis.url);
    await Promise.all(
      jobs.values().map(({ ended }) => ended),
    );
    assertEquals(started, ["a1", "b1", "c1", "a2", "b2", "a3"]);
    jobs.values().forEach(checkDone);
  },
);

redisTest(
  "redis: jobs are cancelled while they wait and while they run",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    await using _ = await openWorker(redis.url);
    const running = new HeardJob("a", { steps: 1000 });
    const waiting = new HeardJob("a");
    const last = new HeardJob("a");
    for (const job of [running, waiting, last]) await queue.add(job);
    const abort = new AbortController();
    const person = { photos: [photo(1)], choices: {} };
    const encoding = assertRejects(
      () => queue.encode(person, abort.signal),
      MasterWeaverError,
      "nobody waits",
    );
    await until("one runs", () => running.state === "running");
    await queue.cancel(waiting, "stopped by its client");
    assertEquals(waiting.state, "cancelled");
    abort.abort("nobody waits");
    await encoding;
    const before = performance.now();
    await queue.cancel(running, "stopped by its client");
    await running.ended;
    assert(performance.now() - before < 5000);
    assertEquals(running.reports.at(-1), {
      type: "cancelled",
      message: "stopped by its client",
    });
    await last.ended;
    checkDone(last);
    await queue.cancel(last, "too late");
    assertEquals(last.state, "done");
  },
);

redisTest(
  "redis: a job of a model that no worker has ends by an error that names both",
  async () => {
    await using redis = await RedisServer.start(false);
    const timing = { ...quick, workerPatience: 800 };
    await using queue = await openQueue(redis.url, { timing });
    const alone = new HeardJob("a");
    await queue.add(alone);
    await alone.ended;
    assertStringIncludes(
      alone.resource().error!.message,
      "No worker has the model drawn (hash 0000000000): no worker is running",
    );
    const other = new DrawingEngine();
    const hash = "7".repeat(64);
    Object.assign(other, { model: { ...other.model, name: "another", hash } });
    await using _ = await openWorker(redis.url, other, { name: "attic" });
    const refused = new HeardJob("a");
    await queue.add(refused);
    await refused.ended;
    assertEquals(refused.resource().error, {
      code: "worker",
      message:
        "No worker has the model drawn (hash 0000000000): the workers have others (attic: another (hash 7777777777)); start one with this model",
    });
    assertEquals(other.counts.images, 0);
  },
);

redisTest(
  "redis: several servers share workers, and each hears of its own jobs",
  async () => {
    await using redis = await RedisServer.start(false);
    await using one = await openQueue(redis.url);
    await using two = await openQueue(redis.url);
    const ones = Array.from(
      { length: 5 },
      (_, seed) => new HeardJob("a", { seed }),
    );
    const twos = ones.map((_, i) => new HeardJob("b", { seed: i + 5 }));
    for (const job of ones) await one.add(job);
    for (const job of twos) await two.add(job);
    assertEquals([one.counts.waiting, two.counts.waiting], [5, 5]);
    assertEquals(twos[0].resource().position, 1);
    await using _ = await openWorker(redis.url);
    await Promise.all([...ones, ...twos].map(({ ended }) => ended));
    [...ones, ...twos].forEach(checkDone);
    assertEquals(one.model.gpu, "none");
  },
);

redisTest(
  "redis: a server that ends cancels its jobs",
  async () => {
    await using redis = await RedisServer.start(false);
    const queue = await openQueue(redis.url);
    const engine = new DrawingEngine({ stepTime: 5 });
    await using _ = await openWorker(redis.url, engine);
    const running = new HeardJob("a", { steps: 1000 });
    const waiting = new HeardJob("a");
    await queue.add(running);
    await queue.add(waiting);
    await until("one runs", () => running.state === "running");
    const closing = queue.close(50);
    const late = await assertRejects(
      () => queue.add(new HeardJob("a")),
      ApiError,
    );
    assertEquals(late.code, "shutting-down");
    await closing;
    assertEquals([running.state, waiting.state], ["cancelled", "cancelled"]);
    await queue[Symbol.asyncDispose]();
    assertEquals(engine.counts.images, 0);
  },
);

/** A server looks at Redis once, and then never again. */
const dead = { ...quick, heartbeat: 60_000, serverGone: 1000 };

redisTest(
  "redis: jobs of a server that is gone are removed, though no worker comes",
  async () => {
    await using redis = await RedisServer.start(false);
    await using gone = await openQueue(redis.url, { timing: dead });
    // It sweeps ten times a second.
    const timing = { ...quick, expiry: 400 };
    await using queue = await openQueue(redis.url, { timing });
    await gone.add(new HeardJob("a"));
    const job = new HeardJob("b");
    await queue.add(job);
    assertEquals(job.resource().position, 1);
    await until("it is first", () => job.resource().position === 0);
  },
);

redisTest("redis: no worker runs jobs of a server that is gone", async () => {
  await using redis = await RedisServer.start(false);
  await using gone = await openQueue(redis.url, { timing: dead });
  await using queue = await openQueue(redis.url);
  await gone.add(new HeardJob("a"));
  await gone.add(new HeardJob("a"));
  await pause(dead.serverGone);
  const job = new HeardJob("a");
  await queue.add(job);
  assertEquals(job.resource().position, 2);
  const engine = new DrawingEngine();
  await using _ = await openWorker(redis.url, engine);
  await job.ended;
  checkDone(job);
  assertEquals(engine.counts.images, 1);
});

redisTest(
  "redis: what is wrong with the address or the settings is told, never the password",
  async () => {
    const word = "wrong-secret";
    const cases = [
      [`http://:${word}@127.0.0.1`, "Option queue must be an address such as"],
      [`redis://:${word}@127.0.0.1:1`, "redis://127.0.0.1:1 cannot be used"],
    ];
    for (const [url, message] of cases) {
      const error = await assertRejects(
        () => openQueue(url),
        MasterWeaverError,
      );
      assertStringIncludes(error.message, message);
      assert(!error.message.includes(word), error.message);
    }
    const settings = [
      "--requirepass",
      "right",
      "--maxmemory-policy",
      "allkeys-lru",
    ];
    await using redis = await RedisServer.start(false, settings);
    for (const [given, message] of [[word, "WRONGPASS"], ["", "NOAUTH"]]) {
      const url = redis.url.replace("//", given && `//:${given}@` || "//");
      const error = await assertRejects(
        () => openWorker(url),
        MasterWeaverError,
      );
      assertStringIncludes(error.message, message);
      assert(!error.message.includes(word), error.message);
    }
    const warnings: string[] = [];
    const url = redis.url.replace("//", "//:right@");
    const onWarning = (line: string) => warnings.push(line);
    await using queue = await openQueue(url, { onWarning });
    assertStringIncludes(warnings.join(), "maxmemory-policy allkeys-lru");
    await using _ = await openWorker(url);
    const job = new HeardJob("a");
    await queue.add(job);
    await job.ended;
    checkDone(job);
  },
);
