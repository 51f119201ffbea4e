/**
 * Times a self-attention of Stable Diffusion 1.5's finest level, with its
 * projections, with tokens merged and without.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../../src/gpu/gpu.ts";
import { Graph, type Tensor } from "../../../src/graph/graph.ts";
import type { Plan } from "../../../src/graph/plan.ts";
import { attention } from "../../../src/ops/attention/attention.ts";
import { linear } from "../../../src/ops/linear/linear.ts";
import {
  matchTokens,
  mergeTokens,
  unmergeTokens,
} from "../../../src/ops/tokens.ts";
import { graphFlops, makePlan } from "../kernels.ts";
import { spent, writeInputs } from "../step.ts";
import { figure, type Row, type Table } from "../table.ts";

const SIDE = 64;
const CHANNELS = 320;
const HEADS = 8;

/** Times each share by turns, the fastest sample, after a run that compiles. */
export async function benchMerging(
  gpu: Gpu,
  storage: StorageType,
  samples: number,
): Promise<Table> {
  using stack = new DisposableStack();
  const benches: { share: number; plan: Plan; flops: number; best: number }[] =
    [];
  for (const share of [0, 0.25, 0.5, 0.75]) {
    const graph = selfAttention(storage, Math.floor(share * SIDE * SIDE));
    const plan = stack.use(await makePlan(gpu, graph));
    writeInputs(plan, graph);
    plan.run();
    await gpu.idle();
    benches.push({ share, plan, flops: graphFlops(graph), best: Infinity });
  }
  for (let i = 0; i < samples; i++) {
    for (const bench of benches) {
      const time = await spent(() => {
        bench.plan.run();
        return gpu.idle();
      });
      bench.best = Math.min(bench.best, time);
    }
  }
  const rows: Row[] = [];
  for (const { share, plan, flops, best } of benches) {
    // Matching, merging and unmerging, by the GPU's clock where it has one.
    const merging = gpu.hasTimestamps ? await mergingTime(plan) : undefined;
    rows.push({
      labels: [`${share} merged`],
      figures: [
        figure("time", best, "ms"),
        figure("of which merging", merging, "ms"),
        figure("times as fast", benches[0].best / best, "×"),
        figure("operations", flops / 1e9, "GFLOP"),
      ],
    });
  }
  const subject = `self-attention of ${SIDE * SIDE} tokens, ${storage}`;
  return { section: "merged tokens", subject, rows };
}

/** Milliseconds of the dispatches that match, merge and unmerge. */
async function mergingTime(plan: Plan): Promise<number> {
  const times = await plan.profile();
  return plan.listing.reduce(
    (sum, { shader }, i) => sum + (/token/.test(shader) ? times[i] : 0),
    0,
  );
}

/** x (1, 4096, 320), normalised already, to x + attention. */
function selfAttention(storage: StorageType, merged: number): Graph {
  const g = new Graph(storage);
  const x = g.input("x", [1, SIDE * SIDE, CHANNELS], storage);
  const match = { height: SIDE, width: SIDE, merged };
  const place = merged > 0 ? g.apply(matchTokens, { x }, match) : null;
  const tokens = place ? g.apply(mergeTokens, { x, place }, match) : x;
  const project = (name: string, x: Tensor, residual?: Tensor) => {
    const weight = g.input(name, [CHANNELS, CHANNELS], storage);
    return g.apply(linear, { x, weight, bias: undefined, residual }, {});
  };
  const [q, k, v] = ["q", "k", "v"].map((name) => project(name, tokens));
  const given = { q, k, v, identityScale: undefined };
  const y = g.apply(attention, given, { heads: HEADS });
  g.output(
    "y",
    place
      ? g.apply(unmergeTokens, { x: project("out", y), place, residual: x }, {})
      : project("out", y, x),
  );
  return g;
}
