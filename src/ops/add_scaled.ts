import addScaledCode from "../../shaders/add_scaled.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "./op.ts";

const GROUP = 64;

/** Inputs of {@linkcode addScaled}. */
export type AddScaledInputs = {
  /** (B, …) */
  x: TensorSpec;
  /** (R, …), R a divisor of B; repeated along the first axis */
  z: TensorSpec;
  /** f32 (N, B) */
  scales: TensorSpec;
};

/** Attributes of {@linkcode addScaled}. */
export interface AddScaledAttributes {
  /** The row of scales that is used, 0..N − 1. */
  row: number;
}

/**
 * `x + scales[row] * z`, with a scale for each item of the batch; an item whose scale
 * is 0 stays as it is: (B, …) → (B, …).
 */
export const addScaled: Op<AddScaledInputs, AddScaledAttributes> = {
  name: "add_scaled",
  dtypes: { scales: "f32" },

  outputs(inputs, { row }) {
    const { x, z, scales } = inputs;
    const [batch, ...item] = x.shape;
    const [repeated, ...same] = z.shape;
    const [rows, width] = scales.shape;
    expectShape(
      sameShape(item, same) && repeated > 0 && batch % repeated === 0 &&
        scales.shape.length === 2 && width === batch && row >= 0 && row < rows,
      "add_scaled",
      `x (B, …), z (R, …) with R a divisor of B, scales f32 (N, B) with a row ${row}`,
      inputs,
    );
    return { output: x };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { x, z }, attributes: { row } }) {
      const total = elementCount(x.shape);
      const [batch] = x.shape;
      return [{
        shader: "add_scaled",
        code: addScaledCode,
        bind: [...reads("x", "z", "scales"), ...writes("output")],
        params: {
          total,
          item: total / batch,
          repeated: elementCount(z.shape),
          first: row * batch,
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
