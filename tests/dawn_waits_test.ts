/**
 * Dawn is put where a browser has its WebGPU, and waits without taking a core.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { promisify } from "node:util";
import { type DawnModule, installDawn } from "../src/host/dawn.ts";

/** A native function without a name, as Dawn's own: what a proxy prints. */
function native(work: () => void): () => void {
  const proxy = new Proxy(work, {});
  Object.defineProperty(work, "name", { value: "" });
  assertMatch(Function.prototype.toString.call(proxy), /\[native code\]/);
  return proxy;
}

/** A package, and the object that it gives for WebGPU. */
const made = {} as GPU;
const dawn: DawnModule = {
  create: () => made,
  globals: { GPUOfATest: class {} },
};

Deno.test("dawn's waits: native calls become timers, others do not", async () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "setImmediate")!;
  const gpu = Object.getOwnPropertyDescriptor(navigator, "gpu");
  try {
    installDawn(dawn);
    assert(navigator.gpu === made);
    assert("GPUOfATest" in globalThis);

    // Waits one after the other: each a timer of a millisecond.
    let waits = 0;
    const start = performance.now();
    await new Promise<void>((done) => {
      const again = native(() => {
        if (++waits === 50) done();
        else setImmediate(again);
      });
      setImmediate(again);
    });
    assert(performance.now() - start >= 45, "native calls waited for nothing");

    const order: string[] = [];
    setTimeout(() => order.push("timer"), 30);
    await new Promise<void>((done) =>
      setImmediate((word: string) => {
        order.push(word);
        done();
      }, "immediate")
    );
    assertEquals(order, ["immediate"]);
    await new Promise((done) => setTimeout(done, 40));
    assertEquals(order, ["immediate", "timer"]);

    // What can be taken back still can, whichever it became.
    const taken: string[] = [];
    clearImmediate(setImmediate(() => taken.push("ordinary")));
    await new Promise((done) => setTimeout(done, 20));
    assertEquals(taken, []);
    assertEquals(await promisify(setImmediate)("value"), "value");
  } finally {
    Object.defineProperty(globalThis, "setImmediate", before);
    if (gpu) Object.defineProperty(navigator, "gpu", gpu);
    else Reflect.deleteProperty(navigator, "gpu");
    Reflect.deleteProperty(globalThis, "GPUOfATest");
  }
});
