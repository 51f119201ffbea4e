/**
 * Token merging: whole, cut where bindings are short, and in the UNet.
 */
import { assert, assertEquals } from "@std/assert";
import { torchCpuNormal } from "../src/samplers/noise.ts";
import type { GpuLimits } from "../src/gpu/gpu.ts";
import { Graph } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { neededNodes } from "../src/graph/schedule.ts";
import { matchTokens, maxMerged } from "../src/ops/tokens/match_tokens.ts";
import { mergeTokens } from "../src/ops/tokens/merge_tokens.ts";
import { unmergeTokens } from "../src/ops/tokens/unmerge_tokens.ts";
import { graphFlops } from "../tools/bench/cost.ts";
import { nmse } from "./support/compare.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { StepPlans } from "./support/step_plans.ts";

const whole = { guided: true, cached: false };

/** Merges tokens and takes it back: (B, H·W, C) + what each row has. */
async function roundTrip(
  [batch, height, width, channels]: readonly number[],
  merged: number,
  values: Float32Array,
  limits?: GpuLimits,
) {
  const g = new Graph("f32");
  const x = g.input("x", [batch, height * width, channels], "f32");
  const zeros = g.input("zeros", x.shape, "f32");
  const match = { height, width, merged };
  const place = g.apply(matchTokens, { x }, match);
  const fewer = g.apply(mergeTokens, { x, place }, match);
  g.output("place", place);
  g.output(
    "y",
    g.apply(unmergeTokens, { x: fewer, place, residual: zeros }, {}),
  );
  using plan = await Plan.make(await sharedGpu(), g, { limits });
  plan.write("x", values);
  plan.run();
  const { y, place: places } = await plan.read("y", "place");
  return { y, places, dispatches: plan.statistics.dispatches };
}

Deno.test("tokens: at most all but one of each 2×2 block are merged", () => {
  assertEquals(maxMerged(64, 64), 3072);
  assertEquals(maxMerged(5, 7), 35 - 12);
  assertEquals(maxMerged(1, 1), 0);
  assertEquals(maxMerged(1, 2), 1);
});

gpuTest(
  "tokens: equal ones are merged first, and come back exactly",
  async () => {
    // Each 2×2 block holds one token four times.
    const [height, width, channels] = [6, 8, 8];
    const block = (i: number) => {
      const t = Math.floor(i / channels);
      return (t % width >> 1) + 4 * (Math.floor(t / width) >> 1);
    };
    const noise = torchCpuNormal(3, 12 * channels);
    const values = Float32Array.from(
      { length: height * width * channels },
      (_, i) => noise[block(i) * channels + i % channels],
    );
    const { y } = await roundTrip([1, height, width, channels], 36, values);
    // A mean of four equal values is that value.
    assertEquals(y, values);
  },
);

gpuTest("tokens: a batch that is longer than a binding is cut", async () => {
  const { limits } = await sharedGpu();
  const shape = [5, 7, 9, 12];
  const values = torchCpuNormal(11, 5 * 63 * 12);
  const one = await roundTrip(shape, 30, values);
  const cut = await roundTrip(shape, 30, values, {
    ...limits,
    maxStorageBufferBindingSize: 2 * 63 * 12 * 4 + 256,
  });
  assertEquals(one.dispatches, 6);
  // Matching, merging and unmerging in three launches each.
  assertEquals(cut.dispatches, 12);
  assertEquals(cut.places, one.places);
  assertEquals(cut.y, one.y);
});

gpuTest(
  "tokens: merged at the finest level that has attention, in proportion",
  async () => {
    const runShape = { images: 1, height: 32, width: 32, guided: true };
    using exact = await StepPlans.open(runShape);
    using half = await StepPlans.open({ ...runShape, mergeTokens: 0.5 });
    const merges = (plans: StepPlans) =>
      neededNodes(plans.graph(whole))
        .filter(({ op }) => op === mergeTokens)
        .map(({ inputs, outputs }) => [inputs.x!.shape, outputs.output.shape]);
    assertEquals(merges(exact), []);
    // The mini model: one layer going down, two going up, at 16×16.
    const tokens = [[2, 256, 96], [2, 128, 96]];
    assertEquals(merges(half), [tokens, tokens, tokens]);
    const [all, some] = [exact, half].map((plans) =>
      graphFlops(plans.graph(whole))
    );
    assert(some < all, `${some} operations, ${all} where none are merged`);
    // Odd sizes, all of what may be merged.
    using odd = await StepPlans.open({
      ...runShape,
      height: 18,
      width: 22,
      mergeTokens: 0.75,
    });
    assertEquals(merges(odd)[0], [[2, 99, 96], [2, 30, 96]]);
  },
);

gpuTest(
  "tokens: a step with merged ones is close, and the same again",
  async () => {
    const runShape = { images: 1, height: 18, width: 22, guided: true };
    const step = async (mergeTokens: number) => {
      using plans = await StepPlans.open({ ...runShape, mergeTokens });
      const plan = await plans.plan(whole);
      plan.write("latents", torchCpuNormal(7, 18 * 22 * 4));
      plan.write("t", new Float32Array(2).fill(500));
      plan.write("identity_scale", Float32Array.of(1));
      plan.write("guidance_scale", Float32Array.of(5));
      plan.write("coefficients", Float32Array.of(0, 1));
      plan.run();
      return (await plan.read("latents")).latents;
    };
    const exact = await step(0);
    const quarter = await step(0.25);
    assertEquals(await step(0.25), quarter);
    const errors = [quarter, await step(0.5), await step(0.75)]
      .map((eps) => nmse(eps, exact));
    const [least, , most] = errors;
    assert(least > 0 && most < 0.1 && least < most, `NMSE ${errors}`);
  },
);
