import { MasterWeaverError } from "../../base/errors.ts";
import { attentionGradient } from "../../ops/gradients/attention_gradient.ts";
import type { AttentionAttributes } from "../../ops/attention/attention.ts";
import type { Backward, InputGradients } from "./rule.ts";

/** Attention to text and identity: weights are recomputed, no score matrix is kept. */
export function attentionRule(
  { graph, node, gradients, needs }: Backward,
): InputGradients {
  const { q, k, v, identityScale } = node.inputs;
  if (needs("identityScale")) {
    throw new MasterWeaverError(
      "gpu",
      "Cannot differentiate attention by identityScale: it is a setting, not trained",
    );
  }
  const found = graph.applyAll(attentionGradient, {
    q: q!,
    k: k!,
    v: v!,
    identityScale,
    gradient: gradients.output!,
  }, node.attributes as AttentionAttributes);
  return {
    q: needs("q") ? found.q : undefined,
    k: needs("k") ? found.k : undefined,
    v: needs("v") ? found.v : undefined,
  };
}
