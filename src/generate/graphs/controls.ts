/**
 * ControlNets in the graphs of an image: their embeddings of control images, their
 * keys and values of the text, and what they add to the UNet in a step.
 *
 * @module
 */
import type { StorageType } from "../../gpu/gpu.ts";
import { Graph, type Tensor } from "../../graph/graph.ts";
import {
  controlEmbedding,
  controlNet,
  firstResidual,
  residualCount,
} from "../../models/controlnet.ts";
import {
  type CrossAttention,
  type CrossKeys,
  crossKeys,
  downAttentions,
} from "../../models/cross_attentions.ts";
import { addScaled } from "../../ops/add_scaled.ts";
import { elementCount } from "../../ops/op.ts";
import { view } from "../../ops/view.ts";
import type { DenoiserComponents } from "../context.ts";
import {
  type ControlShape,
  embeddingName,
  type RunShape,
  scalesName,
} from "../run_shape.ts";
import type { StepKind } from "../step_kinds.ts";

/** A ControlNet's weights and config. */
export type Net = NonNullable<DenoiserComponents["controls"]>[number];

/** Name in graphs of a control image. */
export function controlImageName(control: number): string {
  return `control.${control}.image`;
}

/**
 * `control.N.image` (1, H, W, 4) in 0..1 → `control.N.embedding` (1, h, w, C0), of
 * every control image.
 */
export function controlImageGraph(
  storage: StorageType,
  nets: readonly Net[],
  { height, width, controls }: Pick<RunShape, "height" | "width"> & {
    readonly controls: ControlShape;
  },
): Graph {
  const g = new Graph(storage);
  controls.nets.forEach((net, i) => {
    const { weights, config } = nets[net];
    const { factor } = config;
    const shape = [1, height * factor, width * factor, 4];
    const image = g.input(controlImageName(i), shape, storage);
    g.output(embeddingName(i), controlEmbedding(image, weights, config));
  });
  return g;
}

/**
 * Keys and values of the text alone of each cross-attention of a ControlNet: it knows
 * nothing of an identity.
 *
 * @param text (B, T, D)
 */
export function* controlKeys(
  text: Tensor,
  { weights, config }: Net,
): Generator<{ path: string; k: Tensor; v: Tensor }> {
  for (const attention of downAttentions(config)) {
    const { k, v } = crossKeys(attention, text, weights);
    yield { path: attention.path, k, v };
  }
}

/** What the ControlNets of a step are given, where they are given what the UNet is. */
export interface ControlledStep {
  /** (B, h, w, channels), the UNet's latents */
  readonly sample: Tensor;
  /** f32 (B), the UNet's timesteps */
  readonly t: Tensor;
  /** Keys and values (B, T, C) of a ControlNet's cross-attention, by the net's number. */
  readonly cross: (net: number, attention: CrossAttention) => CrossKeys;
  /** (1, h, w, C0) of a control image, by the control's number. */
  readonly embedding: (control: number) => Tensor;
}

/**
 * Runs a step's ControlNets.
 *
 * In guess mode they see the conditional half alone, and the unconditional one stays
 * as it is. A step with cached features needs the first residual alone.
 *
 * @returns adds what they say to a skip connection or to the output of the middle, by
 *   its number; undefined where the step has no ControlNet
 */
export function stepControls(
  step: ControlledStep,
  nets: readonly Net[],
  { images, controls }: Pick<RunShape, "images" | "controls">,
  { controls: active = [], cached, guided }: StepKind,
): ((x: Tensor, number: number) => Tensor) | undefined {
  if (!controls || active.length === 0) return undefined;
  const g = step.sample.graph;
  const [batch] = step.sample.shape;
  const half = (x: Tensor) =>
    controls.guess && guided ? firstItems(x, images) : x;
  const sample = half(step.sample);
  const t = cached ? step.t : half(step.t);
  const runs = active.map((control) => {
    const net = controls.nets[control];
    const { weights, config } = nets[net];
    const embedding = step.embedding(control);
    const cross = (attention: CrossAttention) => {
      const { k, v, textKeys } = step.cross(net, attention);
      return { k: half(k), v: half(v), textKeys };
    };
    const count = residualCount(config);
    return {
      residuals: cached
        ? [firstResidual({ sample, embedding }, weights, config)]
        : controlNet({ sample, t, embedding, cross }, weights, config),
      scales: g.input(scalesName(control), [count, batch], "f32"),
    };
  });
  return (x, number) =>
    runs.reduce(
      (sum, { residuals, scales }) =>
        g.apply(addScaled, { x: sum, z: residuals[number], scales }, {
          row: number,
        }),
      x,
    );
}

/** The first items of a batch, a copy: (B, …) → (count, …). */
function firstItems(x: Tensor, count: number): Tensor {
  const [, ...item] = x.shape;
  return x.graph.apply(view, { x }, {
    shape: [count * elementCount(item)],
    strides: [1],
  }).reshape(count, ...item);
}
