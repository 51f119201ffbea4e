/**
 * Times a self-attention of Stable Diffusion 1.5's finest level, with its
 * projections, with tokens merged and without.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../../src/gpu/gpu.ts";
import { Graph, type Tensor } from "../../../src/graph/graph.ts";
import { Plan } from "../../../src/graph/plan.ts";
import { Tuner } from "../../../src/graph/tuner.ts";
import { KernelChoice } from "../../../src/graph/kernel_choice.ts";
import { attention } from "../../../src/ops/attention/attention.ts";
import { linear } from "../../../src/ops/linear/linear.ts";
import { elementCount } from "../../../src/ops/op.ts";
import {
  matchTokens,
  mergeTokens,
  unmergeTokens,
} from "../../../src/ops/tokens.ts";
import { flopsOf } from "./work.ts";

const SIDE = 64;
const CHANNELS = 320;
const HEADS = 8;

/** One share of merged tokens, measured. */
export interface MergingTime {
  /** Share of the tokens that are merged. */
  readonly share: number;
  /** Milliseconds, the fastest sample. */
  readonly milliseconds: number;
  /** Of which the GPU's clock counts for matching, merging and unmerging; where it has one. */
  readonly merging?: number;
  /** GFLOP. */
  readonly gflop: number;
}

/** Times each share by turns, after a run that compiles. */
export async function benchMerging(
  gpu: Gpu,
  storage: StorageType,
  samples: number,
): Promise<MergingTime[]> {
  using stack = new DisposableStack();
  const benches: {
    share: number;
    plan: Plan;
    graph: Graph;
    times: number[];
  }[] = [];
  for (const share of [0, 0.25, 0.5, 0.75]) {
    const graph = selfAttention(storage, Math.floor(share * SIDE * SIDE));
    const kernels = new KernelChoice(graph, new Tuner(gpu).choose);
    const plan = stack.use(await Plan.make(gpu, graph, { kernels }));
    for (const [name, { shape }] of graph.inputs) {
      plan.write(name, values(elementCount(shape)));
    }
    benches.push({ share, plan, graph, times: [] });
    plan.run();
    await gpu.idle();
  }
  for (let i = 0; i < samples; i++) {
    for (const { plan, times } of benches) {
      const start = performance.now();
      plan.run();
      await gpu.idle();
      times.push(performance.now() - start);
    }
  }
  const rows: MergingTime[] = [];
  for (const { share, plan, graph, times } of benches) {
    rows.push({
      share,
      milliseconds: Math.min(...times),
      merging: gpu.hasTimestamps ? await mergingTime(plan) : undefined,
      gflop: flopsOf(graph) / 1e9,
    });
  }
  return rows;
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
  const project = (name: string, x: Tensor, residual?: Tensor) =>
    g.apply(linear, {
      x,
      weight: g.input(name, [CHANNELS, CHANNELS], storage),
      bias: undefined,
      residual,
    }, {});
  const [q, k, v] = ["q", "k", "v"].map((name) => project(name, tokens));
  const y = g.apply(
    attention,
    { q, k, v, identityScale: undefined },
    { heads: HEADS },
  );
  g.output(
    "y",
    place
      ? g.apply(unmergeTokens, { x: project("out", y), place, residual: x }, {})
      : project("out", y, x),
  );
  return g;
}

/** Values that differ, as large as normalised activations are. */
function values(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 0.7 + i * i));
}

/** The times as lines for a person. */
export function attentionLines(rows: readonly MergingTime[]): string[] {
  return [
    "| merged | ms | of which merging | times as fast | GFLOP |",
    "|---|---|---|---|---|",
    ...rows.map(({ share, milliseconds, merging, gflop }) =>
      `| ${share} | ${milliseconds.toFixed(0)} | ${
        merging?.toFixed(0) ?? "–"
      } | ${(rows[0].milliseconds / milliseconds).toFixed(2)} | ${
        gflop.toFixed(1)
      } |`
    ),
  ];
}
