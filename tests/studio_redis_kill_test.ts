/**
 * Workers that are killed, and Redis that goes away: every job ends once, and as
 * it should.
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { ApiError } from "../src/studio/errors.ts";
import { pause } from "../src/studio/jobs/redis/timing.ts";
import { DrawingEngine } from "./support/drawing_engine.ts";
import {
  checkDone,
  HeardJob,
  openQueue,
  openWorker,
  quick,
  until,
} from "./support/redis_jobs.ts";
import {
  RedisServer,
  redisTest,
  WorkerProcess,
} from "./support/redis_server.ts";
import { random } from "./support/weights.ts";

const JOBS = 200;
const KILLS = 20;
/** Workers at any time, so that two are at work while one starts anew. */
const WORKERS = 3;
/** Another one is another course of events; the machine's pace is another as well. */
const SEED = Number(Deno.env.get("MASTERWEAVER_TEST_SEED") ?? 15);

function startWorker(url: string, name: string, stepTime = 15): WorkerProcess {
  return new WorkerProcess({ url, name, stepTime, timing: quick });
}

const restarts = (job: HeardJob) =>
  job.reports.filter(({ type }) => type === "started").length - 1;

redisTest(
  `redis: ${JOBS} jobs end once each, though ${KILLS} workers are killed`,
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    const below = random(SEED);
    let started = 0;
    const start = () => startWorker(redis.url, `worker ${++started}`);
    const workers = Array.from({ length: WORKERS }, start);
    const jobs = Array.from(
      { length: JOBS },
      (_, seed) => new HeardJob(`client ${seed % 7}`, { seed, steps: 4 }),
    );
    const ended = () => jobs.filter(({ endedAt }) => endedAt !== null).length;
    const began = performance.now();
    let midway = 0;
    try {
      await Promise.all(jobs.map((job) => queue.add(job)));
      for (let kill = 0; kill < KILLS; kill++) {
        const [victim] = workers.splice(below(WORKERS), 1, start());
        await victim.ready();
        // All along the way, however quick the machine is.
        const share = (kill + below(100) / 100) / KILLS;
        await until("jobs go on", () => ended() >= share * (JOBS - 20));
        await pause(below(150));
        await victim.end("SIGKILL");
        const starts = victim.lines.filter((line) => line.endsWith(" starts"));
        const ends = victim.lines.filter((line) => line.endsWith(" ended"));
        midway += starts.length - ends.length;
      }
      await Promise.all(jobs.map((job) => job.ended));
    } finally {
      await Promise.all(workers.map((worker) => worker.end("SIGKILL")));
    }
    const seconds = (performance.now() - began) / 1000;
    assert(midway > 0, "no worker was killed at work");
    const lost = jobs.filter((job) => job.state !== "done");
    // Each of them cost two workers their lives.
    assert(lost.length <= KILLS / 2, `${lost.length} were given up`);
    for (const job of lost) {
      const { error } = job.resource();
      assertEquals([job.ends, error?.code], [1, "worker"]);
      assertStringIncludes(error!.message, "two workers were lost");
    }
    jobs.filter((job) => !lost.includes(job)).forEach(checkDone);
    const again = jobs.filter((job) => restarts(job) > 0).length;
    console.log(
      `seed ${SEED}: ${JOBS} jobs in ${
        seconds.toFixed(1)
      } s, ${KILLS} kills, ${midway} at work; ${again} ran again, ${lost.length} given up`,
    );
  },
);

redisTest(
  "redis: a job is taken over within seconds, and given up with the second worker",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    const job = new HeardJob("a", { seed: 3, steps: 1000 });
    const other = new HeardJob("b", { seed: 4 });
    await using first = startWorker(redis.url, "first");
    await queue.add(job);
    await until("the first runs it", () => job.resource().progress !== null);
    await using second = startWorker(redis.url, "second");
    await second.ready();
    await first.end("SIGKILL");
    await until("the second runs it", () => restarts(job) === 1);
    assertEquals(job.state, "running");
    await using third = startWorker(redis.url, "third");
    await third.ready();
    await second.end("SIGKILL");
    await job.ended;
    const { error } = job.resource();
    assertEquals([job.ends, error?.code], [1, "worker"]);
    assert(error!.message.includes("two workers were lost"), error!.message);
    await queue.add(other);
    await other.ended;
    checkDone(other);
  },
);

redisTest(
  "redis: what a worker reports that only seemed dead is not counted",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    const job = new HeardJob("a", { seed: 5, steps: 40 });
    await using asleep = startWorker(redis.url, "asleep", 10);
    await queue.add(job);
    await until("it runs", () => job.resource().progress !== null);
    asleep.signal("SIGSTOP");
    const engine = new DrawingEngine({ stepTime: 1 });
    await using _ = await openWorker(redis.url, engine);
    await job.ended;
    checkDone(job);
    assertEquals([engine.counts.images, restarts(job)], [1, 1]);
    const reports = job.reports.length;
    asleep.signal("SIGCONT");
    await asleep.line(/ (lost|ended)$/);
    const next = new HeardJob("a", { seed: 6 });
    await queue.add(next);
    await next.ended;
    assertEquals(job.reports.length, reports);
  },
);

redisTest(
  "redis: a worker that is told to end puts its job back, and a job is no loss by that",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    const job = new HeardJob("a", { seed: 7, steps: 300 });
    await queue.add(job);
    for (let i = 0; i < 3; i++) {
      await using worker = startWorker(redis.url, `worker ${i}`);
      await until("it runs", () => job.state === "running");
      assertEquals(await worker.end("SIGTERM"), 0);
      await until("it waits again", () => job.state === "waiting");
    }
    await using _ = await openWorker(redis.url, new DrawingEngine());
    await job.ended;
    checkDone(job);
  },
);

redisTest(
  "redis: a server and a worker can end while Redis is away",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    await using worker = new WorkerProcess({
      ...{ url: redis.url, name: "worker", stepTime: 15 },
      timing: { ...quick, command: 500 },
    });
    const running = new HeardJob("a", { steps: 1000 });
    const waiting = new HeardJob("a");
    await queue.add(running);
    await queue.add(waiting);
    await until("one runs", () => running.state === "running");
    await redis.kill();
    await worker.line(/cannot be reached/);
    assertEquals(await worker.end("SIGTERM"), 0);
    await queue.close(100);
    assertEquals([running.state, waiting.state], ["cancelled", "cancelled"]);
    await redis.resume();
  },
);

redisTest("redis: jobs go on when Redis comes back with its data", async () => {
  await using redis = await RedisServer.start(true);
  const warnings: string[] = [];
  const onWarning = (line: string) => warnings.push(line);
  await using queue = await openQueue(redis.url, { onWarning });
  const engine = new DrawingEngine({ stepTime: 15 });
  await using _ = await openWorker(redis.url, engine);
  const jobs = Array.from(
    { length: 30 },
    (_, seed) => new HeardJob("a", { seed, steps: 4 }),
  );
  for (const job of jobs) await queue.add(job);
  for (let i = 0; i < 3; i++) {
    const done = jobs.filter(({ state }) => state === "done").length;
    await until(
      "some are done",
      () => jobs.filter(({ state }) => state === "done").length > done + 2,
    );
    await redis.kill();
    const before = performance.now();
    const error = await assertRejects(
      () => queue.add(new HeardJob("a")),
      ApiError,
    );
    assertEquals([error.status, error.code], [503, "queue-away"]);
    // Before a command that Redis does not answer is given up.
    assert(performance.now() - before < quick.command);
    if (i === 1) {
      await queue.cancel(jobs.at(-1)!, "not wanted");
      assertEquals(jobs.at(-1)!.state, "cancelled");
      // Longer than a lock lasts.
      await pause(quick.lock + 200);
    }
    await redis.resume();
  }
  await Promise.all(jobs.map(({ ended }) => ended));
  jobs.slice(0, -1).forEach(checkDone);
  // At most one is made again after each break.
  assert(engine.counts.images <= 29 + 3);
  assertEquals(warnings.filter((line) => /\d is back$/.test(line)).length, 3);
});

redisTest(
  "redis: jobs end with a reason when Redis comes back without its data",
  async () => {
    await using redis = await RedisServer.start(false);
    await using queue = await openQueue(redis.url);
    await using _ = await openWorker(
      redis.url,
      new DrawingEngine({ stepTime: 15 }),
    );
    const jobs = Array.from(
      { length: 5 },
      (_, seed) => new HeardJob("a", { seed }),
    );
    for (const job of jobs) await queue.add(job);
    await until("one is done", () => jobs[0].state === "done");
    await redis.kill();
    await redis.resume();
    await Promise.all(jobs.map(({ ended }) => ended));
    for (const job of jobs.filter(({ state }) => state !== "done")) {
      assertEquals([job.ends, job.resource().error?.code], [1, "worker"]);
    }
    assert(jobs.some(({ state }) => state === "failed"));
    const next = new HeardJob("a", { seed: 9 });
    await until(
      "Redis is back",
      () => queue.add(next).then(() => true, () => false),
    );
    await next.ended;
    checkDone(next);
  },
);
