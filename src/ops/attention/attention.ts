import {
  type Call,
  elementCount,
  expectShape,
  type Kernel,
  type Op,
  sameShape,
  type TensorSpec,
} from "../op.ts";
import { VEC8 } from "../stored_vectors.ts";
import { launchBaseline } from "./baseline.ts";
import { isNarrow, launchNarrow, narrowScratch } from "./narrow.ts";
import type { AttentionSizes } from "./sizes.ts";
import { fitsTiles, launchTiled } from "./tiled.ts";
import { launchWide, wideScratch } from "./wide.ts";

/** Inputs of {@linkcode attention}. */
export type AttentionInputs = {
  /** (B, T, H·D) */
  q: TensorSpec;
  /** (B, S, H·D): keys of the text, then those of the identity */
  k: TensorSpec;
  /** (B, S, H·D) */
  v: TensorSpec;
  /** f32 (1): multiplies the identity's attention; without it, identity keys are ignored */
  identityScale?: TensorSpec;
};

/** Attributes of {@linkcode attention}. */
export interface AttentionAttributes {
  /** Number of heads H; D = channels / H is a multiple of 4. */
  heads: number;
  /** How many keys come before the identity's; all keys by default. */
  textKeys?: number;
  /** Whether token t attends only to tokens 0..t. */
  causal?: boolean;
}

/** Fewest queries of the inputs that a kernel is timed with. */
const MIN_QUERIES = 256;

type AttentionKernel = Kernel<AttentionInputs, AttentionAttributes>;

const baseline: AttentionKernel = {
  name: "baseline",
  launch: (call, target) => launchBaseline(sizesOf(call), target),
};

const tiled: AttentionKernel = {
  name: "workgroup-tiled",
  supports: (call) => fitsTiles(sizesOf(call).width),
  launch: (call, target) => launchTiled(sizesOf(call), target),
};

const textured: AttentionKernel = {
  name: "texture-backed",
  supports: (call) => sizesOf(call).width % VEC8 === 0,
  scratch(call, target) {
    const sizes = sizesOf(call);
    return isNarrow(sizes)
      ? narrowScratch(sizes, target)
      : wideScratch(sizes, target);
  },
  launch(call, target) {
    const sizes = sizesOf(call);
    return isNarrow(sizes)
      ? launchNarrow(sizes, target)
      : launchWide(sizes, target);
  },
};

function sizesOf(
  { inputs, attributes }: Pick<
    Call<AttentionInputs, AttentionAttributes>,
    "inputs" | "attributes"
  >,
): AttentionSizes {
  const { q, k, identityScale } = inputs;
  const { heads, textKeys = k.shape[1], causal = false } = attributes;
  const [batch, queries, channels] = q.shape;
  return {
    batch,
    queries,
    keys: k.shape[1],
    textKeys,
    heads,
    width: channels / heads,
    identity: identityScale !== undefined,
    causal,
  };
}

/** Scaled dot-product attention to text (or itself) plus, with its own softmax, to an identity. */
export const attention: Op<AttentionInputs, AttentionAttributes> = {
  name: "attention",
  dtypes: { identityScale: "f32" },
  kernels: [baseline, tiled, textured],

  outputs(inputs, { heads, textKeys }) {
    const { q, k, v, identityScale } = inputs;
    const [batch, , channels] = q.shape;
    const keys = k.shape[1];
    const text = textKeys ?? keys;
    expectShape(
      q.shape.length === 3 && channels % (4 * heads) === 0 &&
        sameShape(k.shape, [batch, keys, channels]) &&
        sameShape(v.shape, k.shape) && text > 0 && text <= keys &&
        (!identityScale ||
          (text < keys && sameShape(identityScale.shape, [1]))),
      "attention",
      `q (B, T, C), k and v (B, S, C), C a multiple of 4 · ${heads} heads, ` +
        `${text} of the S keys text, identityScale (1) only if identity keys follow`,
      inputs,
    );
    return { output: { shape: q.shape, dtype: q.dtype } };
  },

  tuningKey({ q }, { heads }) {
    return `heads of ${q.shape[2] / heads}`;
  },

  timingInputs({ q, k }, { textKeys = k.shape[1] }, share) {
    const [batch, queries, channels] = q.shape;
    const tokens = Math.ceil(batch * queries * share);
    const kept = Math.min(queries, Math.max(MIN_QUERIES, tokens));
    const keys = { shape: [1, textKeys, channels], dtype: k.dtype };
    return {
      q: { shape: [1, kept, channels], dtype: q.dtype },
      k: keys,
      v: keys,
    };
  },

  flops({ inputs: { q, k, identityScale }, attributes: { textKeys } }) {
    const keys = identityScale ? k.shape[1] : textKeys ?? k.shape[1];
    return 4 * elementCount(q.shape) * keys;
  },
};
