/**
 * Simultaneous calls on one model, and disposing of a model at work.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage } from "../src/host/files.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { Turns } from "../src/turns.ts";
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

Deno.test("turns: calls wait for each other, in order", async () => {
  const turns = new Turns();
  const events: string[] = [];
  const call = (name: string) =>
    turns.take({}, async () => {
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

Deno.test("turns: a call that fails lets the next one work", async () => {
  const turns = new Turns();
  const failed = turns.take({}, () => Promise.reject(new Error("mine")));
  const next = turns.take({}, () => Promise.resolve(1));
  await assertRejects(() => failed, Error, "mine");
  assertEquals(await next, 1);
});

Deno.test("turns: a call is refused where it asks to be", async () => {
  const turns = new Turns();
  const stop = new AbortController();
  const first = turns.take({ signal: stop.signal }, forever);
  const refused = turns.take(
    { whenBusy: "refuse" },
    () => Promise.resolve(1),
  );
  assertEquals(await codeOf(refused), "busy");
  stop.abort();
  assertEquals(await codeOf(first), "aborted");
  assertEquals(
    await turns.take({ whenBusy: "refuse" }, () => Promise.resolve(2)),
    2,
  );
  const odd = turns.take({ whenBusy: "queue" as never }, forever);
  assertEquals(await codeOf(odd), "bad-option");
});

Deno.test("turns: a waiting call can be stopped, those after it continue", async () => {
  const turns = new Turns();
  const work = Promise.withResolvers<number>();
  const stop = new AbortController();
  const first = turns.take({}, () => work.promise);
  const second = turns.take({ signal: stop.signal }, () => Promise.resolve(2));
  const third = turns.take({}, () => Promise.resolve(3));
  stop.abort();
  assertEquals(await codeOf(second), "aborted");
  work.resolve(1);
  assertEquals([await first, await third], [1, 3]);
});

Deno.test("turns: closing stops all calls and waits for them", async () => {
  const turns = new Turns();
  const first = codeOf(turns.take({}, forever));
  const second = codeOf(turns.take({}, () => Promise.resolve(2)));
  const beside = codeOf(turns.beside(undefined, forever));
  // The first has its turn, and works.
  await new Promise((resolve) => setTimeout(resolve, 0));
  await turns.close();
  await turns.close();
  assertEquals(await first, "aborted");
  assertEquals(await second, "disposed");
  assertEquals(await beside, "aborted");
  assertEquals(await codeOf(turns.take({}, forever)), "disposed");
  assertEquals(await codeOf(turns.beside(undefined, forever)), "disposed");
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
