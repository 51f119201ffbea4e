/**
 * Learning rates against diffusers' `get_scheduler`.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  averageDecayAt,
  learningRateAt,
  scaleLearningRate,
  type Schedule,
  SCHEDULES,
} from "../src/train/optimiser/schedules.ts";
import golden from "./goldens/schedules.json" with { type: "json" };

const cases = golden as readonly {
  readonly schedule: Schedule;
  readonly rates: readonly number[];
}[];

Deno.test("schedules: every one has goldens", () => {
  const tested = new Set(cases.map(({ schedule }) => schedule.name));
  assertEquals([...tested].toSorted(), [...SCHEDULES].toSorted());
});

for (const { schedule, rates } of cases) {
  Deno.test(`schedules: diffusers' rates of ${Deno.inspect(schedule)}`, () => {
    rates.forEach((rate, step) => {
      const found = learningRateAt(schedule, step);
      const most = 1e-12 * schedule.learningRate;
      assert(Math.abs(found - rate) <= most, `step ${step}: ${found}, ${rate}`);
    });
  });
}

Deno.test("schedules: a polynomial that starts below its end is refused", () => {
  const schedule = { warmupSteps: 0, maxSteps: 10, learningRate: 1e-7 };
  const error = assertThrows(
    () => learningRateAt({ ...schedule, name: "polynomial" }, 3),
    MasterWeaverError,
    "expected a learning rate above 1e-7, where it ends, got 1e-7",
  );
  assertEquals(error.code, "bad-option");
  assertEquals(learningRateAt({ ...schedule, name: "constant" }, 3), 1e-7);
});

Deno.test("schedules: the learning rate grows with the batch", () => {
  assertEquals(scaleLearningRate(1e-6, 4, 4, 4), 6.4e-5);
});

Deno.test("schedules: the running mean's decay is that of diffusers' EMAModel", () => {
  // EMAModel(decay=0.9).get_decay(n + 1), which counts the update itself.
  const expected = [[0, 0], [1, 2 / 11], [8, 0.5], [79, 80 / 89], [80, 0.9]];
  for (const [number, decay] of [...expected, [1e6, 0.9]]) {
    assertEquals(averageDecayAt(0.9, number), decay);
  }
  assertEquals(averageDecayAt(0, 5), 0);
});
