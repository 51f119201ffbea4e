/**
 * The engine of the page that computes everything itself, before there is a
 * model.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { LocalEngine } from "../src/site/engine/local_engine.ts";
import {
  ModelHolder,
  type ModelStatus,
} from "../src/site/state/model_holder.ts";
import {
  EngineError,
  type RunEvent,
} from "../src/studio/page/engine/engine.ts";

/** A holder whose model never comes. */
function holder(status: ModelStatus): ModelHolder {
  // No Worker is started before the first call.
  const module = new URL("file:///none.js");
  const made = new ModelHolder({
    kind: "address",
    url: "http://127.0.0.1/",
    name: "mini",
  }, { gpu: module, photo: module, weights: module });
  made.status.value = status;
  return made;
}

const request = {
  id: crypto.randomUUID(),
  settings: { prompt: "a photo", seed: 1 },
  photos: [],
  choices: {},
  identity: null,
  sources: { initImage: null, mask: null, controls: [] },
};

Deno.test("site engine: a run that waits for the model stops at once", async () => {
  const engine = new LocalEngine(holder({ state: "coming", progress: null }));
  const generated = engine.generate(request);
  const run = engine.resume(request.id);
  await run.cancel();
  await generated;
  const events: RunEvent[] = [];
  for await (const event of engine.resume(request.id).events()) {
    events.push(event);
  }
  assertEquals(events, [{ type: "cancelled", message: "Stopped" }]);
});

Deno.test("site engine: without a GPU or a model, a run does not wait", async () => {
  const why = new EngineError("cannot-read", "Cannot fetch the model");
  const statuses: readonly (readonly [ModelStatus, string])[] = [
    [{ state: "no-gpu", why: "no-webgpu" }, "cannot be made in this browser"],
    [{ state: "software" }, "slow substitute"],
    [{ state: "failed", error: why }, "Cannot fetch the model"],
  ];
  for (const [status, said] of statuses) {
    const ready = new LocalEngine(holder(status));
    await assertRejects(() => ready.generate(request), EngineError, said);
    // Also where that comes out later.
    const later = holder({ state: "starting" });
    const engine = new LocalEngine(later);
    const generated = assertRejects(
      () => engine.generate(request),
      EngineError,
      said,
    );
    later.status.value = status;
    await generated;
  }
});
