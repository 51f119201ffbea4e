/**
 * The graph of conditioning: text and identity → keys and values.
 *
 * @module
 */
import type { StorageType } from "../../gpu/gpu.ts";
import { Graph, type Tensor } from "../../graph/graph.ts";
import { clipText } from "../../models/clip.ts";
import { multiply } from "../../models/layers.ts";
import { crossAttentions, crossKeys } from "../../models/unet.ts";
import { emphasis } from "../../ops/emphasis.ts";
import { sum } from "../../ops/sum.ts";
import { view } from "../../ops/view.ts";
import type { DenoiserComponents } from "../context.ts";
import { FiniteChecks } from "../health.ts";
import { controlKeys } from "./controls.ts";
import {
  controlPath,
  keysName,
  type RunShape,
  usedAdapter,
  valuesName,
} from "../run_shape.ts";
import type { TextShape } from "../text_conditions.ts";

type Adapter = NonNullable<DenoiserComponents["adapter"]>;

/** What decides the plan of conditioning. */
export interface ConditionShape
  extends
    Pick<RunShape, "images" | "guided" | "identity" | "controls">,
    TextShape {
  /** The layer of the text tower that is the last, counted from its end; 1 by default. */
  readonly clipSkip?: number;
}

/**
 * `ids` u32 (B · chunks, T) and, with an identity, `identity` (B, S, C) →
 * `….attn2.k` and `….attn2.v` of every cross-attention. B counts the conditions;
 * where there is one for each half of guidance, the conditional one first, they are
 * repeated for every image. ControlNets have keys and values of the text alone. Marks
 * in `health` what is not finite.
 */
export function conditionGraph(
  storage: StorageType,
  components: DenoiserComponents,
  shape: ConditionShape,
): Graph {
  const g = new Graph(storage);
  const { text, unet } = components;
  const { images, guided, conditions } = shape;
  const rows = conditions ?? (guided ? 2 : 1);
  const adapter = usedAdapter(components, shape);
  const embedding = encodeText(g, text, rows, shape);
  const identity = adapter && identityInput(g, rows, adapter, unet);
  g.name("text", embedding);
  const checks = new FiniteChecks(g);
  checks.mark("text", embedding);
  if (identity) checks.mark("identity", identity);
  // Where steps choose from the conditions, they repeat them for the images.
  const times = conditions === undefined ? images : 1;
  for (const attention of crossAttentions(unet.config)) {
    const { path } = attention;
    const { k, v } = crossKeys(
      attention,
      embedding,
      unet.weights,
      identity,
      adapter?.weights,
    );
    for (const kind of ["k", "v"]) {
      const projected = (name: string) => g.named.get(`${path}.${name}`)!;
      checks.mark("text keys", projected(`to_${kind}`));
      if (!identity) continue;
      checks.mark("identity keys", projected(`to_${kind}_img`));
    }
    g.output(keysName(path), repeatEach(k, times));
    g.output(valuesName(path), repeatEach(v, times));
  }
  components.controls?.forEach((net, i) => {
    for (const { path, k, v } of controlKeys(embedding, net)) {
      g.output(keysName(controlPath(i, path)), repeatEach(k, times));
      g.output(valuesName(controlPath(i, path)), repeatEach(v, times));
    }
  });
  return g;
}

/** `ids` → the text's features, the chunks of each row side by side (rows, T, C). */
export function encodeText(
  g: Graph,
  { weights, config }: DenoiserComponents["text"],
  rows: number,
  shape: ConditionShape,
): Tensor {
  const { positions, hiddenSize } = config;
  const { textTokens = positions, clipSkip = 1, replaced } = shape;
  const chunks = rows * textTokens / positions;
  const ids = g.input("ids", [chunks, positions], "u32");
  const x = clipText(ids, weights.at("text_model"), config, {
    skippedLayers: clipSkip - 1,
    replaced: replaced
      ? {
        kept: g.input("kept", [chunks, positions, 1], g.storage),
        vectors: g.input("vectors", [chunks, positions, hiddenSize], g.storage),
      }
      : undefined,
  });
  const weighted = shape.emphasis ? emphasise(x) : x;
  return weighted.reshape(rows, textTokens, hiddenSize);
}

/** Multiplies features by their tokens' `weights`, and keeps their mean: (B, T, C). */
function emphasise(x: Tensor): Tensor {
  const g = x.graph;
  const [chunks, tokens] = x.shape;
  const factors = g.apply(emphasis, {
    sums: g.apply(sum, { x }, { axes: [2, 3], dtype: "f32" }),
    weights: g.input("weights", [chunks, tokens], "f32"),
    shares: g.input("shares", [chunks, chunks], "f32"),
  }, {});
  return multiply(x, factors);
}

/** An identity's tokens (rows, S, C). */
function identityInput(
  g: Graph,
  rows: number,
  { config: { tokens, maxReferences } }: Adapter,
  { config: { crossAttentionDim } }: DenoiserComponents["unet"],
): Tensor {
  const shape = [rows, maxReferences * tokens, crossAttentionDim];
  return g.input("identity", shape, g.storage);
}

/** Repeats each item of the first axis: (B, T, C) → (B · times, T, C). */
function repeatEach(x: Tensor, times: number): Tensor {
  if (times === 1) return x;
  const [batch, tokens, channels] = x.shape;
  const length = tokens * channels;
  return x.graph.apply(view, { x }, {
    shape: [batch, times, length],
    strides: [length, 0, 1],
  }).reshape(batch * times, tokens, channels);
}
