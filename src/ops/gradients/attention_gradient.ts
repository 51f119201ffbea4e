/**
 * The gradient of attention. The weights are computed again from the logarithm of
 * each query's sum of exponentials; no score matrix is stored.
 *
 * @module
 */
import keysCode from "../../../shaders/attention_gradient_keys.wgsl" with {
  type: "text",
};
import queriesCode from "../../../shaders/attention_gradient_queries.wgsl" with {
  type: "text",
};
import rowsCode from "../../../shaders/attention_gradient_rows.wgsl" with {
  type: "text",
};
import {
  attention,
  type AttentionAttributes,
  type AttentionInputs,
} from "../attention/attention.ts";
import type { AttentionSizes } from "../attention/sizes.ts";
import {
  fitsTexels,
  launchTexels,
  texelScratch,
} from "./attention_gradient_texels.ts";
import {
  type Call,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  reads,
  readsScratch,
  sameShape,
  type TensorSpec,
  writes,
  writesScratch,
} from "../op.ts";

const GROUP = 32;
/** Most vec4s of a head that an invocation keeps in registers, for queries and for keys. */
const MAX_SLICE = { queries: 10, keys: 10 };

/** Inputs of {@linkcode attentionGradient}. */
export type AttentionGradientInputs = AttentionInputs & {
  /** (B, T, H·D), the gradient by the output */
  gradient: TensorSpec;
};

/** Its outputs, of the shapes of the inputs of these names. */
export type AttentionGradientOutput = "q" | "k" | "v";

type AnyCall = Pick<
  Call<AttentionGradientInputs, AttentionAttributes>,
  "inputs" | "attributes"
>;
type GradientCall = Call<
  AttentionGradientInputs,
  AttentionAttributes,
  AttentionGradientOutput
>;
type GradientLaunch = Launch<
  keyof AttentionGradientInputs,
  AttentionGradientOutput,
  "rows"
>;

/** The gradients of `attention` by queries, keys and values. */
export const attentionGradient: Op<
  AttentionGradientInputs,
  AttentionAttributes,
  AttentionGradientOutput
> = {
  name: "attention_gradient",
  dtypes: { identityScale: "f32" },

  outputs(inputs, attributes, storage) {
    const { q, k, v, gradient, identityScale } = inputs;
    attention.outputs({ q, k, v, identityScale }, attributes, storage);
    expectShape(
      sameShape(gradient.shape, q.shape),
      "attention_gradient",
      "a gradient of the shape of q",
      inputs,
    );
    return { q, k, v };
  },

  kernels: [{
    name: "baseline",
    scratch(call) {
      const { batch, heads, segments, queries } = sizesOf(call);
      const shape = [batch, heads, segments, queries, 2];
      return { rows: { shape, dtype: "f32" } };
    },
    launch: (call) => [
      launchRows(call),
      launchQueries(call),
      launchKeys(call),
    ],
  }, {
    name: "texture-backed",
    supports: (call) => fitsTexels(attentionSizes(call)),
    scratch: (call, target) => texelScratch(attentionSizes(call), target),
    launch: (call, target) => launchTexels(attentionSizes(call), target),
  }],

  flops({ inputs: { q, k, identityScale }, attributes: { textKeys } }) {
    const keys = identityScale ? k.shape[1] : textKeys ?? k.shape[1];
    return 18 * elementCount(q.shape) * keys;
  },
};

function sizesOf(
  { inputs: { q, k, identityScale }, attributes }: AnyCall,
) {
  const { heads, textKeys = k.shape[1], causal = false } = attributes;
  const [batch, queries, channels] = q.shape;
  return {
    batch,
    queries,
    keys: k.shape[1],
    textKeys,
    heads,
    head4: channels / heads / 4,
    segments: identityScale ? 2 : 1,
    causal: Number(causal),
    scale: 1 / Math.sqrt(channels / heads),
  };
}

function attentionSizes(call: AnyCall): AttentionSizes {
  const { identityScale } = call.inputs;
  const { segments: _segments, head4, causal, ...sizes } = sizesOf(call);
  return {
    ...sizes,
    width: 4 * head4,
    identity: identityScale !== undefined,
    causal: causal === 1,
  };
}

/** What all three shaders take. */
function paramsOf(call: GradientCall) {
  const { queries, keys, textKeys, heads, head4, segments, causal, scale } =
    sizesOf(call);
  return {
    heads,
    queries,
    keys,
    text_keys: textKeys,
    head4,
    causal,
    segments,
    scale,
  };
}

const operands = reads<keyof AttentionGradientInputs>(
  "q",
  "k",
  "v",
  "gradient",
  "identityScale",
);

function launchRows(call: GradientCall): GradientLaunch {
  const { batch, heads, segments, queries } = sizesOf(call);
  const pairs = Math.ceil(queries / 2);
  const total = batch * heads * segments * pairs;
  return {
    shader: "attention_gradient_rows",
    code: rowsCode,
    bind: [...operands, ...writesScratch("rows")],
    params: { ...paramsOf(call), pairs, total },
    workgroups: Math.ceil(total / GROUP),
  };
}

function launchQueries(call: GradientCall): GradientLaunch {
  return launchSlices("attention_gradient_queries", queriesCode, call, {
    tokens: sizesOf(call).queries,
    most: MAX_SLICE.queries,
    outputs: ["q"],
  });
}

function launchKeys(call: GradientCall): GradientLaunch {
  return launchSlices("attention_gradient_keys", keysCode, call, {
    tokens: sizesOf(call).keys,
    most: MAX_SLICE.keys,
    outputs: ["k", "v"],
  });
}

function launchSlices(
  shader: string,
  code: string,
  call: GradientCall,
  { tokens, most, outputs }: {
    readonly tokens: number;
    readonly most: number;
    readonly outputs: readonly AttentionGradientOutput[];
  },
): GradientLaunch {
  const { batch, heads, head4 } = sizesOf(call);
  let value4 = Math.min(most, head4);
  while (head4 % value4 !== 0) value4--;
  const slices = head4 / value4;
  const pairs = Math.ceil(tokens / 2);
  const total = batch * heads * slices * pairs;
  return {
    shader,
    code,
    defines: { VALUE4: value4 },
    bind: [...operands, ...readsScratch("rows"), ...writes(...outputs)],
    params: { ...paramsOf(call), slices, pairs, total },
    workgroups: Math.ceil(total / GROUP),
  };
}
