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
import { matchTokens } from "../../../src/ops/tokens/match_tokens.ts";
import { mergeTokens } from "../../../src/ops/tokens/merge_tokens.ts";
import { unmergeTokens } from "../../../src/ops/tokens/unmerge_tokens.ts";
import { total } from "../cost.ts";
import { graphFlops, makePlan } from "../kernels.ts";
import { writeInputs } from "../step.ts";
import { figure, type Row, type Table } from "../table.ts";
import { fastestTimes } from "./steps.ts";

const SIDE = 64;
const CHANNELS = 320;
const HEADS = 8;

/** Times each share of merged tokens by turns, the fastest sample. */
export async function benchMerging(
  gpu: Gpu,
  storage: StorageType,
  samples: number,
): Promise<Table> {
  using stack = new DisposableStack();
  const graphs = [0, 0.25, 0.5, 0.75].map((share) => ({
    share,
    graph: selfAttention(storage, Math.floor(share * SIDE * SIDE)),
  }));
  const plans: Plan[] = [];
  for (const { graph } of graphs) {
    const plan = stack.use(await makePlan(gpu, graph));
    writeInputs(plan, graph);
    plans.push(plan);
  }
  const times = await fastestTimes(gpu, plans, samples);
  const wholes = times.map((each) => total(each, (time) => time));
  const rows = graphs.map(({ share, graph }, i): Row => {
    const { listing } = plans[i];
    // Matching, merging and unmerging, by the GPU's clock where it has one.
    const merging = gpu.hasTimestamps
      ? total(
        times[i].filter((_, j) => /token/.test(listing[j].shader)),
        (t) => t,
      )
      : undefined;
    return {
      labels: [`${share} merged`],
      figures: [
        figure("time", wholes[i], "ms"),
        figure("of which merging", merging, "ms"),
        figure("times as fast", wholes[0] / wholes[i], "×"),
        figure("operations", graphFlops(graph) / 1e9, "GFLOP"),
      ],
    };
  });
  const subject = `self-attention of ${SIDE * SIDE} tokens, ${storage}`;
  return { section: "merged tokens", subject, rows };
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
