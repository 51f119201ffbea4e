/**
 * One step of the optimiser as a graph.
 *
 * @module
 */
import { Graph, type Tensor } from "../../graph/graph.ts";
import type { GpuTensor } from "../../graph/plan.ts";
import { adamw, type AdamwAttributes } from "../../ops/optimiser/adamw.ts";
import { biasCorrections } from "../../ops/optimiser/bias_corrections.ts";
import { clipCoefficient } from "../../ops/optimiser/clip_coefficient.ts";
import { lerp } from "../../ops/optimiser/lerp.ts";
import {
  lossScaleUpdate,
  type LossScaleUpdateAttributes,
} from "../../ops/optimiser/loss_scale_update.ts";
import { record } from "../../ops/optimiser/records.ts";
import { squaredNorm } from "../../ops/optimiser/squared_norm.ts";
import type { BlockKind, ParameterBlocks } from "./parameter_blocks.ts";

/** A graph and what its plan must bind. */
export interface OptimiseGraph {
  /**
   * Inputs to write: `maxNorm` (1), `rates K` (2) of every block, and `share` (1)
   * where a running mean is kept; to bind: `state`, and the output `report`.
   */
  readonly graph: Graph;
  /** The blocks. */
  readonly bindings: Readonly<Record<string, GpuTensor>>;
}

/** What a step does with every block: norms, clipping, AdamW, running mean. */
export function optimiseGraph(
  blocks: ParameterBlocks,
  adam: AdamwAttributes,
  lossScale: LossScaleUpdateAttributes,
): OptimiseGraph {
  const g = new Graph("f32");
  const bindings: Record<string, GpuTensor> = {};
  const bound = (block: number, kind: BlockKind): Tensor => {
    const name = `${kind} ${block}`;
    bindings[name] = blocks.block(block, kind);
    return g.inputs.get(name) ??
      g.input(name, bindings[name].spec.shape, "f32");
  };
  const count = blocks.layout.length;

  // The gradients' squared norm, block by block: (S)
  let norms = g.input("norms", [count], "f32");
  for (let slot = 0; slot < count; slot++) {
    const x = bound(slot, "gradients");
    norms = g.apply(squaredNorm, { x, norms }, { slot });
  }

  // Whether to step, and by what factor; then the step is counted.
  const before = g.input("state", record.shape, "f32");
  const maxNorm = g.input("maxNorm", [1], "f32");
  const report = g.apply(
    clipCoefficient,
    { norms, state: before, maxNorm },
    {},
  );
  g.output("report", report);
  const state = g.apply(lossScaleUpdate, { state: before, report }, lossScale);
  const corrections = g.apply(biasCorrections, { state }, adam);

  for (let block = 0; block < count; block++) {
    const { parameters } = g.applyAll(adamw, {
      parameters: bound(block, "parameters"),
      gradients: bound(block, "gradients"),
      firstMoments: bound(block, "firstMoments"),
      secondMoments: bound(block, "secondMoments"),
      rates: g.input(`rates ${block}`, [2], "f32"),
      report,
      corrections,
    }, adam);
    if (!blocks.kinds.includes("average")) continue;
    const share = g.inputs.get("share") ?? g.input("share", [1], "f32");
    const average = bound(block, "average");
    g.apply(lerp, { average, x: parameters, share }, {});
  }
  return { graph: g, bindings };
}
