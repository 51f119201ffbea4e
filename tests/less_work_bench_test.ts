/**
 * The bench of the options that leave work out: what it counts.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { SD15 } from "../tools/bench/synthetic.ts";
import { imageCost, stepsOf, workOf } from "../tools/bench/less_work.ts";
import { deno, finished } from "./support/command.ts";
import { repositoryPath } from "./support/paths.ts";

Deno.test("bench of less work: an image is the sum of its steps", () => {
  const settings = {
    steps: 6,
    guidanceRange: [0, 0.5],
    reuseFeatures: 2,
    mergeTokens: 0.25,
  } as const;
  assertEquals(stepsOf(settings).map(({ name }) => name), [
    "guided, 0.25",
    "guided, cached, 0.25",
    "guided, 0.25",
    "conditional, cached, 0.25",
    "conditional, 0.25",
    "conditional, cached, 0.25",
  ]);
  const costs = stepsOf(settings).map(({ name, kind }) =>
    [name, (kind.guided ? 2 : 1) * (kind.cached ? 10 : 100)] as const
  );
  const cost = imageCost(settings, new Map(costs));
  assertEquals(cost, 200 + 20 + 200 + 10 + 100 + 10);
});

Deno.test("bench of less work: what a step of Stable Diffusion 1.5 computes", () => {
  const work = (settings: object) => {
    const image = { steps: 1, ...settings };
    return imageCost(image, workOf(SD15, 512, stepsOf(image)));
  };
  const whole = work({});
  // Two halves of what tests/bench_cost_test.ts sums up from the sizes.
  assert(Math.abs(whole / 1605e9 - 1) < 0.01, `${whole / 1e9} GFLOP`);
  assertEquals(work({ guidanceScale: 1 }), whole / 2);
  const cached = work({ steps: 2, reuseFeatures: 2 }) - whole;
  assert(cached > 0.07 * whole && cached < 0.09 * whole, `${cached / whole}`);
  // Five of 4096 tokens: projections go with the rest, scores with its square.
  const tokens = 4096;
  const scores = (rest: number) => 4 * rest ** 2 * 320;
  const projected = (rest: number) => 4 * 2 * rest * 320 ** 2;
  const matching = 2 * 3072 * 1024 * 320;
  const saved = 5 * 2 *
    (scores(tokens) - scores(tokens / 2) + projected(tokens) -
      projected(tokens / 2) - matching);
  assertEquals(work({ mergeTokens: 0.5 }), whole - saved);
});

Deno.test("bench of less work: a wrong option is told", async () => {
  const run = await finished(deno([
    "run",
    "-A",
    repositoryPath("tools/bench.ts"),
    "--less-work",
    "--samples=0",
  ]));
  assertEquals([run.code, run.out, run.err.length], [2, "", 1]);
  assertMatch(
    run.err[0],
    /--samples is 0, expected a whole number from 1; see/,
  );
});
