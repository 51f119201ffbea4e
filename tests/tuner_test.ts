/**
 * Choosing kernels: what is measured, what is kept, what is never trusted.
 */
import { assert, assertEquals } from "@std/assert";
import { Graph } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import {
  clockStep,
  timeOneRun,
  WallStopwatch,
} from "../src/graph/stopwatch.ts";
import { type TuneMode, Tuner, type TuneStore } from "../src/graph/tuner.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { linear } from "../src/ops/linear/linear.ts";
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
    assertEquals(choice.kernel, fastest);
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
    // A kernel there is not: what is likely best runs.
    store.texts.set(key, JSON.stringify([{ ...choice, kernel: "none" }]));
    const tuner = await tune("auto", store);
    const g = graphOf(8);
    const kernels = new KernelChoice(g, tuner.choose);
    using plan = await Plan.make(await sharedGpu(), g, { kernels });
    assert(plan.statistics.dispatches > 0);
  },
);

/** A clock of its own time, in milliseconds, that shows whole steps of it. */
class CoarseClock {
  #time = 0.4321;
  readonly #step: number;
  constructor(step: number) {
    this.#step = step;
  }
  /** Every look takes 2 µs. */
  readonly now = () => {
    this.#time += 0.002;
    return Math.floor(this.#time / this.#step) * this.#step;
  };
  /** Measures runs of so many milliseconds. */
  readonly sample = (run: number, counts: number[]) => (runs: number) => {
    counts.push(runs);
    const started = this.now();
    this.#time += run * runs;
    return Promise.resolve(this.now() - started);
  };
}

Deno.test("stopwatch: a sample is as long as a coarse clock needs", async () => {
  // Dawn's timestamps, and performance.now in Chrome, isolated, and in Safari.
  for (const step of [0.065536, 0.1, 0.005, 1]) {
    for (const run of [0.02, 0.31, 1.7, 40, 400]) {
      const clock = new CoarseClock(step);
      const counts: number[] = [];
      const sample = clock.sample(run, counts);
      const time = await timeOneRun(sample, () => step, 3);
      assert(
        Math.abs(time / run - 1) < 0.05,
        `${run} ms by steps of ${step} ms: ${time}`,
      );
      // Bounded: no sample is much longer than the clock, or its bound, asks for.
      const longest = Math.max(...counts) * run;
      assert(
        longest <= Math.max(run, 8 * 50 * step, 1.5 * 250),
        `${longest} ms, ${counts}`,
      );
    }
  }
});

Deno.test("stopwatch: what is hopeless is measured once, a clock that stands still some times", async () => {
  const counts: number[] = [];
  const clock = new CoarseClock(0.005);
  await timeOneRun(clock.sample(40, counts), () => 0.005, 3, 10);
  assertEquals(counts, [1]);
  let calls = 0;
  const still = () => Promise.resolve(calls++ * 0);
  assertEquals(await timeOneRun(still, () => 1, 3), 0);
  assert(calls < 20);
});

Deno.test("stopwatch: how a clock steps is seen, and that it stands still", () => {
  for (const step of [0.005, 0.065536, 1]) {
    const seen = clockStep(new CoarseClock(step).now);
    assert(Math.abs(seen / step - 1) < 1e-6, `${seen}, not ${step}`);
  }
  assertEquals(clockStep(() => 7), 100);
});

gpuTest("tuner: measures by a clock that steps by 10 ms", async () => {
  const gpu = await sharedGpu();
  const coarse = () => Math.floor(performance.now() / 10) * 10;
  const wall = new WallStopwatch(gpu, coarse);
  let most = 0;
  const tuner = new Tuner(gpu, "auto", undefined, {
    time: (plan, runs) => {
      most = Math.max(most, runs);
      return wall.time(plan, runs);
    },
    get tick() {
      return wall.tick;
    },
  });
  await tuner.prepare(graphOf(HEAVY));
  const times = Object.values(tuner.choices[0].milliseconds);
  assert(times.length >= 2 && times.every((time) => time > 0), `${times}`);
  // One run is no longer than a step or some.
  assert(most > 4, `${most} runs at most`);
});
