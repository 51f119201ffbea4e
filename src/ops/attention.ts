import code from "../../shaders/attention.wgsl" with { type: "text" };
import {
  elementBytes,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  sameShape,
  type Target,
  type TensorSpec,
} from "./op.ts";
import { bindPiece, cutAttention } from "./attention_pieces.ts";
import { fitsTiles, launchAttentionTiles } from "./attention_tiles.ts";
import type { AttentionSizes } from "./attention_sizes.ts";
import { launchWide, wideTexels } from "./attention_products.ts";
import { isNarrow, launchNarrow, narrowTexels } from "./attention_texels.ts";
import { VEC8 } from "./stored_vectors.ts";

/** Inputs of {@linkcode attention}. */
export type AttentionInputs = {
  /** (B, T, H·D) */
  q: TensorSpec;
  /** (B, S, H·D): keys of the text, then those of the identity */
  k: TensorSpec;
  /** (B, S, H·D) */
  v: TensorSpec;
  /** f32 (1): weight of the identity's part; absent: no identity is looked at */
  identityScale?: TensorSpec;
};

/** Attributes of {@linkcode attention}. */
export interface AttentionAttributes {
  /** Number of heads H; D = channels / H is a multiple of 4. */
  heads: number;
  /** How many keys come before the identity's; all where not given. */
  textKeys?: number;
  /** Whether token t sees only tokens 0..t. */
  causal?: boolean;
}

const GROUP = 32;
/** Fewest queries that a variant is timed with. */
const LEAST_QUERIES = 256;
/** Widest slice of a head one invocation keeps in registers, in vec4. */
const WIDEST = 10;

/** The widest slice that divides a head of `head4` vec4. */
function sliceWidth(head4: number): number {
  let width = Math.min(WIDEST, head4);
  while (head4 % width !== 0) width--;
  return width;
}

function sizesOf(
  { q, k, identityScale }: AttentionInputs,
  { heads, textKeys = k.shape[1], causal = false }: AttentionAttributes,
): AttentionSizes {
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

/** Scaled dot-product attention over text (or itself) and, apart, an identity. */
export const attention: Op<AttentionInputs, AttentionAttributes> = {
  name: "attention",
  dtypes: { identityScale: "f32" },

  output(inputs, { heads, textKeys }) {
    const { q, k, v, identityScale } = inputs;
    const [batch, , channels] = q.shape;
    const keys = k.shape[1];
    const first = textKeys ?? keys;
    expectShape(
      q.shape.length === 3 && channels % (4 * heads) === 0 &&
        sameShape(k.shape, [batch, keys, channels]) &&
        sameShape(v.shape, k.shape) && first > 0 && first <= keys &&
        (!identityScale ||
          (first < keys && sameShape(identityScale.shape, [1]))),
      "attention",
      `q (B, T, C), k and v (B, S, C), C a multiple of 4 · ${heads} heads, ` +
        `${first} of the S keys text, an identityScale (1) only where others follow`,
      inputs,
    );
    return { shape: q.shape, dtype: q.dtype };
  },

  variants({ q }, _output, { heads }) {
    const width = q.shape[2] / heads;
    const variants = ["registers"];
    if (fitsTiles(width)) variants.push("tiles");
    if (width % VEC8 === 0) variants.push("texels");
    return variants;
  },

  kind({ q }, { heads }) {
    return `heads of ${q.shape[2] / heads}`;
  },

  excerpt({ q, k }, { textKeys = k.shape[1] }, share) {
    const [batch, queries, channels] = q.shape;
    const tokens = Math.ceil(batch * queries * share);
    const kept = Math.min(queries, Math.max(LEAST_QUERIES, tokens));
    const keys = { shape: [1, textKeys, channels], dtype: k.dtype };
    return {
      q: { shape: [1, kept, channels], dtype: q.dtype },
      k: keys,
      v: keys,
    };
  },

  texels(inputs, _output, attributes, target) {
    if (target.variant !== "texels") return [];
    const sizes = sizesOf(inputs, attributes);
    return isNarrow(sizes)
      ? narrowTexels(sizes, target)
      : wideTexels(sizes, target);
  },

  launch(inputs, _output, attributes, target) {
    const sizes = sizesOf(inputs, attributes);
    if (target.variant === "tiles") {
      return launchAttentionTiles(inputs.q, sizes, target);
    }
    if (target.variant === "texels") {
      return isNarrow(sizes)
        ? launchNarrow(sizes, target)
        : launchWide(sizes, target);
    }
    return launchRegisters(inputs.q, sizes, target);
  },

  flops({ q, k, identityScale }, _output, { textKeys }) {
    const keys = identityScale ? k.shape[1] : textKeys ?? k.shape[1];
    return 4 * elementCount(q.shape) * keys;
  },
};

function launchRegisters(
  q: TensorSpec,
  sizes: AttentionSizes,
  { limits }: Target,
): Launch[] {
  const { queries, keys, textKeys, heads, width, identity, causal } = sizes;
  const head4 = width / 4;
  const value4 = sliceWidth(head4);
  const slices = head4 / value4;
  const pairs = Math.ceil(queries / 2);
  return cutAttention(sizes, elementBytes(q.dtype), limits).map((piece) => {
    const total = piece.sizes.batch * heads * slices * pairs;
    return {
      shader: "attention",
      code,
      defines: { VALUE4: value4 },
      bind: bindPiece(piece),
      params: [
        heads,
        queries,
        keys,
        textKeys,
        head4,
        slices,
        pairs,
        total,
        Number(causal),
        identity ? 2 : 1,
        { f32: 1 / Math.sqrt(width) },
        piece.queries.skip / 4,
        piece.keys.skip / 4,
      ],
      workgroups: Math.ceil(total / GROUP),
    };
  });
}
