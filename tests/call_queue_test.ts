/**
 * Simultaneous calls on one model, and disposing of a model at work.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage } from "../src/host/files.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { CallQueue } from "../src/call_queue.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

async function codeOf(call: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => call, MasterWeaverError);
  return error.code;
}

function forever(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener(
      "abort",
      () => reject(new MasterWeaverError("aborted", "Stopped")),
    )
  );
}

Deno.test("calls: calls wait for each other, in order", async () => {
  const queue = new CallQueue();
  const events: string[] = [];
  const call = (name: string) =>
    queue.run({}, async () => {
      events.push(`${name} starts`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      events.push(`${name} ends`);
    });
  await Promise.all([call("a"), call("b"), call("c")]);
  assertEquals(
    events,
    ["a", "b", "c"].flatMap((name) => [
      `${name} starts`,
      `${name} ends`,
    ]),
  );
});

Deno.test("calls: a call that fails lets the next one work", async () => {
  const queue = new CallQueue();
  const failed = queue.run({}, () => Promise.reject(new Error("mine")));
  const next = queue.run({}, () => Promise.resolve(1));
  await assertRejects(() => failed, Error, "mine");
  assertEquals(await next, 1);
});

Deno.test("calls: a call is refused where it asks to be", async () => {
  const queue = new CallQueue();
  const stop = new AbortController();
  const first = queue.run({ signal: stop.signal }, forever);
  const refused = queue.run(
    { whenBusy: "refuse" },
    () => Promise.resolve(1),
  );
  assertEquals(await codeOf(refused), "busy");
  stop.abort();
  assertEquals(await codeOf(first), "aborted");
  assertEquals(
    await queue.run({ whenBusy: "refuse" }, () => Promise.resolve(2)),
    2,
  );
  const odd = queue.run({ whenBusy: "queue" as never }, forever);
  assertEquals(await codeOf(odd), "bad-option");
});

Deno.test("calls: a waiting call can be stopped, those after it continue", async () => {
  const queue = new CallQueue();
  const work = Promise.withResolvers<number>();
  const stop = new AbortController();
  const first = queue.run({}, () => work.promise);
  const second = queue.run({ signal: stop.signal }, () => Promise.resolve(2));
  const third = queue.run({}, () => Promise.resolve(3));
  stop.abort();
  assertEquals(await codeOf(second), "aborted");
  work.resolve(1);
  assertEquals([await first, await third], [1, 3]);
});

Deno.test("calls: closing stops all calls and waits for them", async () => {
  const queue = new CallQueue();
  const first = codeOf(queue.run({}, forever));
  const second = codeOf(queue.run({}, () => Promise.resolve(2)));
  const alongside = codeOf(queue.runAlongside(undefined, forever));
  // The first has its turn, and works.
  await new Promise((resolve) => setTimeout(resolve, 0));
  await queue.close();
  await queue.close();
  assertEquals(await first, "aborted");
  assertEquals(await second, "disposed");
  assertEquals(await alongside, "aborted");
  assertEquals(await codeOf(queue.run({}, forever)), "disposed");
  assertEquals(
    await codeOf(queue.runAlongside(undefined, forever)),
    "disposed",
  );
});

const portrait = await readImage(
  repositoryPath("tests/goldens/portraits/portrait-1.png"),
);
const small = { prompt: "a woman", steps: 2, width: 64, height: 64 };

function load(): Promise<MasterWeaver> {
  return MasterWeaver.load(repositoryPath("weights/mini"), { tune: "off" });
}

gpuTest(
  "library: simultaneous calls wait, or are refused as busy",
  async () => {
    await using weaver = await load();
    const identity = await weaver.encodeIdentity([portrait], { align: false });
    const alone = await weaver.generate({ ...small, identity, seed: 7 });
    const [first, refused, second] = await Promise.allSettled([
      weaver.generate({ ...small, identity, seed: 8 }),
      weaver.generate({ ...small, identity, whenBusy: "refuse" }),
      weaver.generate({ ...small, identity, seed: 7 }),
    ]);
    assert(first.status === "fulfilled" && second.status === "fulfilled");
    assertEquals(second.value.images[0].data, alone.images[0].data);
    assert(refused.status === "rejected");
    assertEquals(refused.reason.code, "busy");
  },
);

gpuTest(
  "library: disposing stops a running call, later ones are refused",
  async () => {
    const weaver = await load();
    const identity = await weaver.encodeIdentity([portrait], { align: false });
    const started = Promise.withResolvers<void>();
    const running = codeOf(weaver.generate({
      ...small,
      identity,
      steps: 1000,
      onProgress: ({ stage }) => stage === "denoise" && started.resolve(),
    }));
    const waiting = codeOf(weaver.generate({ ...small, identity }));
    await started.promise;
    const { buffers } = weaver.gpu;
    await weaver[Symbol.asyncDispose]();
    assertEquals(await running, "aborted");
    assertEquals(await waiting, "disposed");
    assertEquals([buffers.count, buffers.bytes], [0, 0]);
    assertEquals(
      await codeOf(weaver.generate({ ...small, identity })),
      "disposed",
    );
    assertEquals(await codeOf(weaver.encodeIdentity([portrait])), "disposed");
    assertEquals(await codeOf(weaver.detectFaces(portrait)), "disposed");
    await weaver[Symbol.asyncDispose]();
  },
);
