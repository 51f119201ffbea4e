/**
 * The squared norm of a block of gradients.
 *
 * @module
 */
import partialsCode from "../../../shaders/squared_norm_partials.wgsl" with {
  type: "text",
};
import totalCode from "../../../shaders/squared_norm_total.wgsl" with {
  type: "text",
};
import {
  type Call,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  reads,
  readsScratch,
  type TensorSpec,
  writes,
  writesScratch,
} from "../op.ts";

/** Elements per partial sum. */
const PARTIAL = 16384;

/** Inputs of {@linkcode squaredNorm}. */
export type SquaredNormInputs = {
  /** f32, of any shape */
  x: TensorSpec;
  /** f32 (S), changed in place */
  norms: TensorSpec;
};

/** Attributes of {@linkcode squaredNorm}. */
export interface SquaredNormAttributes {
  /** The element of `norms` to write. */
  slot: number;
}

/** `norms[slot] = x.square().sum()`, in an order of additions that never changes. */
export const squaredNorm: Op<SquaredNormInputs, SquaredNormAttributes> = {
  name: "squared_norm",
  dtypes: { x: "f32", norms: "f32" },
  overwrites: { output: "norms" },

  outputs(inputs, { slot }) {
    const { x, norms } = inputs;
    expectShape(
      elementCount(x.shape) > 0 && norms.shape.length === 1 &&
        slot < norms.shape[0],
      "squared_norm",
      `x with elements and norms (S) with more than ${slot} numbers`,
      inputs,
    );
    return { output: norms };
  },

  flops: ({ inputs: { x } }) => 2 * elementCount(x.shape),

  kernels: [{
    name: "baseline",
    scratch: ({ inputs: { x } }) => ({
      partials: { shape: [partialsOf(x)], dtype: "f32" },
    }),
    launch: (call) => [launchPartials(call), launchTotal(call)],
  }],
};

type SquaredNormCall = Call<SquaredNormInputs, SquaredNormAttributes>;
type SquaredNormLaunch = Launch<keyof SquaredNormInputs, "output", "partials">;

function launchPartials({ inputs: { x } }: SquaredNormCall): SquaredNormLaunch {
  return {
    shader: "squared_norm_partials",
    code: partialsCode,
    bind: [...reads("x"), ...writesScratch("partials")],
    params: { total: elementCount(x.shape) },
    workgroups: partialsOf(x),
  };
}

function launchTotal(
  { inputs: { x }, attributes: { slot } }: SquaredNormCall,
): SquaredNormLaunch {
  return {
    shader: "squared_norm_total",
    code: totalCode,
    bind: [...readsScratch("partials"), ...writes("output")],
    params: { partials: partialsOf(x), slot },
    workgroups: 1,
  };
}

function partialsOf({ shape }: TensorSpec): number {
  return Math.ceil(elementCount(shape) / PARTIAL);
}
