import chain from "../../../shaders/embedding_gradient_chain.wgsl" with {
  type: "text",
};
import clear from "../../../shaders/embedding_gradient_clear.wgsl" with {
  type: "text",
};
import code from "../../../shaders/embedding_gradient.wgsl" with {
  type: "text",
};
import {
  type Call,
  elementBytes,
  elementCount,
  expectShape,
  type Kernel,
  type Launch,
  type Op,
  reads,
  readsScratch,
  sameShape,
  type Target,
  type TensorSpec,
  writes,
  writesScratch,
} from "../op.ts";
import { bindRows, splitRows } from "../slices.ts";

const GROUP = 64;

/** Inputs of {@linkcode embeddingGradient}. */
export type EmbeddingGradientInputs = {
  /** u32 (B, T) */
  ids: TensorSpec;
  /** (B, T, C), of the embedding */
  gradient: TensorSpec;
};

/** Attributes of {@linkcode embeddingGradient}. */
export interface EmbeddingGradientAttributes {
  /** Rows of the table. */
  vocabulary: number;
}

type GradientCall = Call<EmbeddingGradientInputs, EmbeddingGradientAttributes>;
/** Scratch: the tokens of equal ids, chained. */
type Scratch = "chain";
type GradientLaunch = Launch<keyof EmbeddingGradientInputs, "output", Scratch>;

const baseline: Kernel<
  EmbeddingGradientInputs,
  EmbeddingGradientAttributes,
  "output",
  Scratch
> = {
  name: "baseline",
  scratch: ({ inputs: { ids } }) => ({
    chain: { shape: [elementCount(ids.shape), 2], dtype: "u32" },
  }),
  launch: (call, target) => [launchChain(call), ...launchRows(call, target)],
};

/** The gradient of {@linkcode ../embedding.ts}'s `embedding` by its table. */
export const embeddingGradient: Op<
  EmbeddingGradientInputs,
  EmbeddingGradientAttributes
> = {
  name: "embedding_gradient",
  dtypes: { ids: "u32" },
  kernels: [baseline],

  outputs(inputs, { vocabulary }) {
    const { ids, gradient } = inputs;
    expectShape(
      ids.shape.length === 2 && gradient.shape.length === 3 &&
        sameShape(gradient.shape.slice(0, 2), ids.shape) && vocabulary > 0,
      "embedding_gradient",
      "ids (B, T), gradient (B, T, C)",
      inputs,
    );
    const shape = [vocabulary, gradient.shape[2]];
    return { output: { shape, dtype: gradient.dtype } };
  },
};

/** Chains the tokens of equal ids. */
function launchChain(
  { inputs: { ids }, attributes: { vocabulary } }: GradientCall,
): GradientLaunch {
  const tokens = elementCount(ids.shape);
  return {
    shader: "embedding_gradient_chain",
    code: chain,
    bind: [...reads("ids"), ...writesScratch("chain")],
    params: { tokens, vocabulary },
    workgroups: Math.ceil(tokens / GROUP),
  };
}

/** Clears each slice of the table, then adds up its rows. */
function launchRows(
  { inputs: { ids, gradient }, attributes: { vocabulary } }: GradientCall,
  { limits }: Target,
): GradientLaunch[] {
  const tokens = elementCount(ids.shape);
  const channels = gradient.shape[2];
  const total = tokens * channels;
  const rowBytes = channels * elementBytes(gradient.dtype);
  return splitRows(vocabulary, rowBytes, limits).flatMap(
    (slice): GradientLaunch[] => {
      const bind = (bindings: GradientLaunch["bind"]) =>
        bindRows(bindings, slice, { output: rowBytes });
      const cleared = slice.rows * channels;
      return [{
        shader: "embedding_gradient_clear",
        code: clear,
        bind: bind(writes("output")),
        params: { total: cleared },
        workgroups: Math.ceil(cleared / GROUP),
      }, {
        shader: "embedding_gradient",
        code,
        bind: bind([
          ...reads("ids", "gradient"),
          ...readsScratch("chain"),
          ...writes("output"),
        ]),
        params: {
          channels,
          tokens,
          vocabulary,
          first: slice.start,
          end: slice.start + slice.rows,
          total,
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  );
}
