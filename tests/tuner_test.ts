/**
 * Choosing variants: what is measured, what is kept, what is never trusted.
 */
import { assert, assertEquals } from "@std/assert";
import { Graph } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { type TuneMode, Tuner, type TuneStore } from "../src/graph/tuner.ts";
import { Variants } from "../src/graph/variants.ts";
import { linear } from "../src/ops/linear.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

/** A store in memory. */
class Memory implements TuneStore {
  readonly texts = new Map<string, string>();
  read(key: string) {
    return Promise.resolve(this.texts.get(key) ?? null);
  }
  write(key: string, text: string) {
    this.texts.set(key, text);
    return Promise.resolve();
  }
}

/** A linear layer of so many rows. */
function graphOf(rows: number): Graph {
  const g = new Graph("f32");
  const x = g.input("x", [rows, 512], "f32");
  const weight = g.input("weight", [512, 512], "f32");
  const inputs = { x, weight, bias: undefined, residual: undefined };
  g.output("y", g.apply(linear, inputs, {}));
  return g;
}

/** Heavy enough to be measured: 2 · 4096 · 512² FLOPs. */
const HEAVY = 4096;

async function tune(mode: TuneMode, store?: TuneStore, rows = HEAVY) {
  const tuner = new Tuner(await sharedGpu(), mode, store);
  await tuner.prepare(graphOf(rows));
  return tuner;
}

gpuTest(
  "tuner: measures a heavy kind once, and the next process knows",
  async () => {
    const store = new Memory();
    const first = await tune("auto", store);
    const [choice] = first.choices;
    assertEquals(choice.kind, "linear f32");
    assert(Object.keys(choice.milliseconds).length >= 2);
    const fastest = Object.entries(choice.milliseconds)
      .toSorted(([, a], [, b]) => a - b)[0][0];
    assertEquals(choice.variant, fastest);
    assertEquals(store.texts.size, 1);

    const second = await tune("auto", store);
    assertEquals(second.milliseconds, 0);
    assertEquals(second.choices, first.choices);
    assert((await tune("force", store)).milliseconds > 0);
  },
);

gpuTest(
  "tuner: off, and for light work, nothing is measured or kept",
  async () => {
    const store = new Memory();
    assertEquals((await tune("off", store)).milliseconds, 0);
    assertEquals((await tune("auto", store, 4)).milliseconds, 0);
    assertEquals(store.texts.size, 0);
  },
);

gpuTest("tuner: light work first does not decide for heavy work", async () => {
  const tuner = await tune("auto", new Memory(), 4);
  await tuner.prepare(graphOf(HEAVY));
  assert(tuner.milliseconds > 0);
});

gpuTest(
  "tuner: what is kept is used only if it is whole and of these shaders",
  async () => {
    const store = new Memory();
    const { choices: [choice] } = await tune("auto", store);
    const key = [...store.texts.keys()][0];
    const damaged = [
      "",
      "{",
      "[1, null, {}]",
      JSON.stringify([{ ...choice, code: "another" }]),
      JSON.stringify([{ ...choice, milliseconds: null }]),
    ];
    for (const text of damaged) {
      store.texts.set(key, text);
      assert((await tune("auto", store)).milliseconds > 0, text);
    }
    // A variant there is not: what is likely best runs.
    store.texts.set(key, JSON.stringify([{ ...choice, variant: "none" }]));
    const tuner = await tune("auto", store);
    const g = graphOf(8);
    const variants = new Variants(g, tuner.choose);
    using plan = await Plan.make(await sharedGpu(), g, { variants });
    assert(plan.statistics.dispatches > 0);
  },
);
