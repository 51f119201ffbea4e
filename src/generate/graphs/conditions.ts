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
import { controlKeys } from "./controls.ts";
import {
  controlPath,
  keysName,
  type RunShape,
  usedAdapter,
  valuesName,
} from "../run_shape.ts";

type Adapter = NonNullable<DenoiserComponents["adapter"]>;

/**
 * `ids` u32 (B, T) and, with an identity, `identity` (B, S, C) → `….attn2.k` and
 * `….attn2.v` of every cross-attention, repeated for every image. B counts the
 * halves of guidance, the conditional one first. ControlNets have keys and values of
 * the text alone. Marks in `health` what is not finite.
 */
export function conditionGraph(
  storage: StorageType,
  components: DenoiserComponents,
  runShape: Pick<RunShape, "images" | "guided" | "identity">,
): Graph {
  const g = new Graph(storage);
  const { text, unet } = components;
  const { images, guided } = runShape;
  const halves = guided ? 2 : 1;
  const adapter = usedAdapter(components, runShape);
  const ids = g.input("ids", [halves, text.config.positions], "u32");
  const identity = adapter && identityInput(g, halves, adapter, unet);
  const embedding = clipText(ids, text.weights.at("text_model"), text.config);
  g.name("text", embedding);
  const checks = new FiniteChecks(g);
  checks.mark("text", embedding);
  if (identity) checks.mark("identity", identity);
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
    g.output(keysName(path), repeatEach(k, images));
    g.output(valuesName(path), repeatEach(v, images));
  }
  components.controls?.forEach((net, i) => {
    for (const { path, k, v } of controlKeys(embedding, net)) {
      g.output(keysName(controlPath(i, path)), repeatEach(k, images));
      g.output(valuesName(controlPath(i, path)), repeatEach(v, images));
    }
  });
  return g;
}

/** An identity's tokens (halves, S, C). */
function identityInput(
  g: Graph,
  halves: number,
  { config: { tokens, maxReferences } }: Adapter,
  { config: { crossAttentionDim } }: DenoiserComponents["unet"],
): Tensor {
  const shape = [halves, maxReferences * tokens, crossAttentionDim];
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
