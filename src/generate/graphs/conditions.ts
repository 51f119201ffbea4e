/**
 * The graph of conditioning: text and identity → keys and values.
 *
 * @module
 */
import type { StorageType } from "../../gpu/gpu.ts";
import { Graph, type Tensor } from "../../graph/graph.ts";
import { clipText } from "../../models/clip.ts";
import { crossAttentions, crossKeys } from "../../models/unet.ts";
import { view } from "../../ops/view.ts";
import type { DenoiserComponents } from "../context.ts";
import { FiniteChecks } from "../health.ts";
import { keysName, type RunShape, valuesName } from "../run_shape.ts";

/**
 * `ids` u32 (B, T) and `identity` (B, S, C) → `….attn2.k` and `….attn2.v` of every
 * cross-attention, repeated for every image. B counts the halves of guidance, the
 * conditional one first. Marks in `health` what is not finite.
 */
export function conditionGraph(
  storage: StorageType,
  { text, unet, adapter }: DenoiserComponents,
  { images, guided }: Pick<RunShape, "images" | "guided">,
): Graph {
  const g = new Graph(storage);
  const halves = guided ? 2 : 1;
  const { tokens, maxReferences } = adapter.config;
  const { crossAttentionDim } = unet.config;
  const ids = g.input("ids", [halves, text.config.positions], "u32");
  const identity = g.input(
    "identity",
    [halves, maxReferences * tokens, crossAttentionDim],
    storage,
  );
  const embedding = clipText(ids, text.weights.at("text_model"), text.config);
  g.name("text", embedding);
  const checks = new FiniteChecks(g);
  checks.mark("text", embedding);
  checks.mark("identity", identity);
  for (const attention of crossAttentions(unet.config)) {
    const { path } = attention;
    const { k, v } = crossKeys(
      attention,
      embedding,
      unet.weights,
      identity,
      adapter.weights,
    );
    for (const kind of ["k", "v"]) {
      const projected = (name: string) => g.named.get(`${path}.${name}`)!;
      checks.mark("text keys", projected(`to_${kind}`));
      checks.mark("identity keys", projected(`to_${kind}_img`));
    }
    g.output(keysName(path), repeatEach(k, images));
    g.output(valuesName(path), repeatEach(v, images));
  }
  return g;
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
