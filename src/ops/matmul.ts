/**
 * Matrix products of activations. Only tests use them: no network here does, as
 * linear layers and attention are ops of their own.
 *
 * @module
 */
import code from "../../shaders/matmul.wgsl" with { type: "text" };
import { expectShape, type Op, reads, type TensorSpec, writes } from "./op.ts";

/** Inputs of {@linkcode matmul}. */
export type MatmulInputs = {
  /** (B, M, K), or (B, K, M) with `transposeA` */
  a: TensorSpec;
  /** (B, K, N), or (B, N, K) with `transposeB`; B may be 1, for all matrices of a */
  b: TensorSpec;
};

/** Attributes of {@linkcode matmul}. */
export interface MatmulAttributes {
  /** Whether a is (B, K, M). */
  transposeA?: boolean;
  /** Whether b is (B, N, K). */
  transposeB?: boolean;
}

function sizes({ a, b }: MatmulInputs, attributes: MatmulAttributes) {
  const { transposeA = false, transposeB = false } = attributes;
  const [batch, a1, a2] = a.shape;
  const [, b1, b2] = b.shape;
  const [m, k] = transposeA ? [a2, a1] : [a1, a2];
  const [kb, n] = transposeB ? [b2, b1] : [b1, b2];
  return { batch, m, n, k, kb, transposeA, transposeB };
}

/** `torch.matmul` of batched matrices, either of which may be transposed. */
export const matmul: Op<MatmulInputs, MatmulAttributes> = {
  name: "matmul",

  outputs(inputs, attributes) {
    const { batch, m, n, k, kb } = sizes(inputs, attributes);
    const { a, b } = inputs;
    expectShape(
      a.shape.length === 3 && b.shape.length === 3 && k === kb &&
        (b.shape[0] === batch || b.shape[0] === 1),
      "matmul",
      "a (B, M, K) and b (B or 1, K, N), transposed as the attributes say",
      inputs,
    );
    return { output: { shape: [batch, m, n], dtype: a.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs, attributes }) {
      const { batch, m, n, k, transposeA, transposeB } = sizes(
        inputs,
        attributes,
      );
      const tilesM = Math.ceil(m / 4);
      const tilesN = Math.ceil(n / 4);
      const total = batch * tilesM * tilesN;
      return [{
        shader: "matmul",
        code,
        bind: [...reads("a", "b"), ...writes("output")],
        params: {
          m,
          n,
          k,
          a_batch: m * k,
          a_row: transposeA ? 1 : k,
          a_column: transposeA ? m : 1,
          b_batch: inputs.b.shape[0] === 1 ? 0 : k * n,
          b_row: transposeB ? 1 : n,
          b_column: transposeB ? k : 1,
          tiles_m: tilesM,
          tiles_n: tilesN,
          total,
        },
        workgroups: Math.ceil(total / 32),
      }];
    },
  }],

  flops({ inputs, attributes }) {
    const { batch, m, n, k } = sizes(inputs, attributes);
    return 2 * batch * m * n * k;
  },
};
