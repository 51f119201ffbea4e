import code from "../../shaders/attention.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "./op.ts";

/** Inputs of {@linkcode attention}. */
export type AttentionInputs = {
  /** (B, T, H·D) */
  q: TensorSpec;
  /** (B, S, H·D) */
  k: TensorSpec;
  /** (B, S, H·D) */
  v: TensorSpec;
  /** (B, S_id, H·D); with `identityValue` and `identityScale` */
  identityKey?: TensorSpec;
  /** (B, S_id, H·D) */
  identityValue?: TensorSpec;
  /** f32 (1): weight of the identity's part */
  identityScale?: TensorSpec;
};

/** Attributes of {@linkcode attention}. */
export interface AttentionAttributes {
  /** Number of heads H; D = channels / H is a multiple of 4. */
  heads: number;
  /** Whether token t sees only tokens 0..t. */
  causal?: boolean;
}

const GROUP = 32;
/** Widest slice of a head one invocation keeps in registers, in vec4. */
const WIDEST = 10;

/** The widest slice that divides a head of `head4` vec4. */
function sliceWidth(head4: number): number {
  let width = Math.min(WIDEST, head4);
  while (head4 % width !== 0) width--;
  return width;
}

/** Scaled dot-product attention over text (or itself) and, apart, an identity. */
export const attention: Op<AttentionInputs, AttentionAttributes> = {
  name: "attention",

  output(inputs, { heads }) {
    const { q, k, v, identityKey, identityValue, identityScale } = inputs;
    const [batch, , channels] = q.shape;
    const fits = (x: TensorSpec | undefined) =>
      x === undefined ||
      (x.shape.length === 3 && x.shape[0] === batch && x.shape[2] === channels);
    expectShape(
      q.shape.length === 3 && channels % (4 * heads) === 0 &&
        [k, v, identityKey, identityValue].every(fits) &&
        sameShape(k.shape, v.shape) &&
        (identityKey === undefined) === (identityValue === undefined) &&
        (identityKey === undefined) === (identityScale === undefined) &&
        (!identityKey ||
          sameShape(identityKey.shape, identityValue!.shape)),
      "attention",
      `q (B, T, C), k and v (B, S, C), both or no identity inputs, C a multiple of 4 · ${heads} heads`,
      inputs,
    );
    return { shape: q.shape, dtype: q.dtype };
  },

  launch({ q, k, identityKey }, _output, { heads, causal = false }) {
    const [batch, queries, channels] = q.shape;
    const head4 = channels / heads / 4;
    const value4 = sliceWidth(head4);
    const slices = head4 / value4;
    const pairs = Math.ceil(queries / 2);
    const total = batch * heads * slices * pairs;
    return [{
      shader: "attention",
      code,
      defines: { HEAD4: head4, VALUE4: value4 },
      constants: {
        CAUSAL: Number(causal),
        HAS_IDENTITY: Number(identityKey !== undefined),
      },
      bind: [
        ...reads(
          "q",
          "k",
          "v",
          "identityKey",
          "identityValue",
          "identityScale",
        ),
        ...writes("output"),
      ],
      params: [
        heads,
        queries,
        k.shape[1],
        identityKey?.shape[1] ?? 0,
        slices,
        pairs,
        total,
        { f32: 1 / Math.sqrt(channels / heads) },
      ],
      workgroups: Math.ceil(total / GROUP),
    }];
  },

  flops({ q, k, identityKey }) {
    const keys = k.shape[1] + (identityKey?.shape[1] ?? 0);
    return 4 * elementCount(q.shape) * keys;
  },
};
