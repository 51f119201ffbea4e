/**
 * Calls of a Worker: whatever it does, each call ends, and the next one works.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { WorkerCalls } from "../src/studio/engine/worker_calls.ts";
import type { OddCalls } from "./support/odd_worker.ts";

function odd(stop = 5000, silence = 60_000): WorkerCalls<OddCalls> {
  return new WorkerCalls<OddCalls>({
    module: new URL("support/odd_worker.ts", import.meta.url),
    setup: "hello",
    name: "odd",
    patience: { stop, silence },
  });
}

/** A call that fails, after which another must work. */
async function failure(
  worker: WorkerCalls<OddCalls>,
  call: () => Promise<unknown>,
): Promise<MasterWeaverError> {
  const error = await assertRejects(call, MasterWeaverError);
  assertEquals(await worker.call("echo", "there"), "hello there");
  return error;
}

Deno.test("studio workers: calls are answered in order, with what they report", async () => {
  await using worker = odd();
  assertEquals(worker.isStarted, false);
  const events: string[] = [];
  const onEvent = (event: string) => events.push(event);
  const answers = await Promise.all(
    ["a", "b"].map((text) => worker.call("echo", text, { onEvent })),
  );
  assertEquals(answers, ["hello a", "hello b"]);
  assertEquals(events, ["a", "a", "b", "b"]);
  await worker.retire();
  assertEquals(worker.isStarted, false);
  assertEquals(await worker.call("echo", "c"), "hello c");
});

Deno.test("studio workers: errors keep their code, bugs their place", async () => {
  await using worker = odd();
  const error = await failure(
    worker,
    () => worker.call("fail", "masterweaver"),
  );
  assertEquals([error.code, error.message], [
    "bad-image",
    "The photo is damaged",
  ]);
  const bug = await assertRejects(() => worker.call("fail", "bug"), Error);
  assert(
    /^A Worker failed: TypeError: It is not.*odd_worker/s.test(bug.message),
  );
});

Deno.test("studio workers: one that crashes is replaced", async () => {
  await using worker = odd();
  const error = await failure(worker, () => worker.call("crash", null));
  assertEquals(error.code, "gpu");
  assert(
    /^The odd Worker died \(.*Out of luck\) and is started again; try again$/
      .test(error.message),
    error.message,
  );
});

Deno.test("studio workers: one that ends without a word is replaced", async () => {
  await using worker = odd(5000, 400);
  const error = await failure(worker, () => worker.call("close", null));
  assertEquals(
    error.message,
    "The odd Worker died (no sign of life for 0.4 s) and is started again; try again",
  );
});

Deno.test("studio workers: one that does not stop is replaced", async () => {
  await using worker = odd(50);
  const stopped = (input: "polite" | "deaf") => {
    const stop = new AbortController();
    const { signal } = stop;
    return failure(
      worker,
      () => worker.call("wait", input, { signal, onEvent: () => stop.abort() }),
    );
  };
  assertEquals((await stopped("polite")).message, "Stopped as told");
  const { code, message } = await stopped("deaf");
  assertEquals([code, message], [
    "aborted",
    "Stopped before it was done; the odd Worker did not stop by itself and was replaced",
  ]);
});

Deno.test("studio workers: a limit ends even what gives nobody a turn", async () => {
  await using worker = odd();
  const limit = new MasterWeaverError("bad-image", "It took too long");
  const error = await failure(
    worker,
    () =>
      worker.call("block", null, {
        limit: { milliseconds: 100, error: limit },
      }),
  );
  assert(error === limit);
});

Deno.test("studio workers: a call that waits can be stopped, too", async () => {
  await using worker = odd();
  const first = worker.call("wait", "polite").catch(({ code }) => code);
  const error = await assertRejects(
    () => worker.call("echo", "a", { signal: AbortSignal.abort() }),
    MasterWeaverError,
  );
  assertEquals(error.code, "aborted");
  await worker[Symbol.asyncDispose]();
  assertEquals(await first, "aborted");
  const late = await assertRejects(
    () => worker.call("echo", "b"),
    MasterWeaverError,
  );
  assertEquals(late.code, "disposed");
});
