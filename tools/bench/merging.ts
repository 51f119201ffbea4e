/**
 * Times a self-attention of Stable Diffusion 1.5's finest level, with its
 * projections, with tokens merged and without.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { attention } from "../../src/ops/attention/attention.ts";
import { linear } from "../../src/ops/linear/linear.ts";
import {
  matchTokens,
  mergeTokens,
  unmergeTokens,
} from "../../src/ops/tokens.ts";
import { graphFlops, total } from "./cost.ts";
import { type TimedDispatch, timeGraphs } from "./plans.ts";
import { figure, type Row, type Table } from "./table.ts";

const SIDE = 64;
const CHANNELS = 320;
const HEADS = 8;

/** Times each share of merged tokens by turns, the fastest sample. */
export async function benchMerging(
  gpu: Gpu,
  storage: StorageType,
  samples: number,
): Promise<Table> {
  const shares = [0, 0.25, 0.5, 0.75];
  const graphs = shares.map((share) =>
    selfAttention(storage, Math.floor(share * SIDE * SIDE))
  );
  const timed = await timeGraphs(gpu, graphs, samples);
  const time = (dispatches: readonly TimedDispatch[]) =>
    total(dispatches, ({ time }) => time);
  const wholes = timed.map(time);
  const rows = graphs.map((graph, i): Row => {
    // Matching, merging and unmerging, by the GPU's clock where it has one.
    const merging = gpu.hasTimestamps
      ? time(timed[i].filter(({ shader }) => /token/.test(shader)))
      : undefined;
    return {
      labels: [`${shares[i]} merged`],
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
