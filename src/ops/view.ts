import viewCode from "../../shaders/view.wgsl" with { type: "text" };
import {
  type DType,
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";
import { padShape } from "./pad_shape.ts";

const GROUP = 64;

/** Attributes of {@linkcode view}. */
export interface ViewAttributes {
  /** Shape of the output, at most four axes. */
  shape: readonly number[];
  /** Distance in x, in elements, from one element of the output to the next along each axis. */
  strides: readonly number[];
  /** Index in x of the output's first element; 0 by default. */
  offset?: number;
  /** Element type of the output; that of x by default. */
  dtype?: DType;
}

/** A strided copy: slice, transpose, repeat, cast. */
export const view: Op<{ x: TensorSpec }, ViewAttributes> = {
  name: "view",
  dtypes: { x: "any" },

  outputs(inputs, { shape, strides, offset = 0, dtype = inputs.x.dtype }) {
    const steps = shape.map((length, i) => (length - 1) * strides[i]);
    const ends = (pick: (a: number, b: number) => number) =>
      steps.reduce((sum, step) => sum + pick(step, 0), offset);
    const [first, last] = [ends(Math.min), ends(Math.max)];
    expectShape(
      shape.length <= 4 && shape.length === strides.length &&
        [offset, ...strides].every(Number.isSafeInteger) && first >= 0 &&
        last < elementCount(inputs.x.shape),
      "view",
      `an x that holds (${shape.join(", ")}) with strides (${
        strides.join(", ")
      }) from ${offset}`,
      inputs,
    );
    return { output: { shape: [...shape], dtype } };
  },

  kernels: [{
    name: "baseline",
    launch(
      {
        inputs: { x },
        outputs: { output },
        attributes: { strides, offset = 0 },
      },
    ) {
      const total = elementCount(output.shape);
      return [{
        shader: "view",
        code: viewCode,
        types: { SOURCE: x.dtype, TARGET: output.dtype },
        bind: [...reads("x"), ...writes("output")],
        params: {
          shape: padShape(output.shape, 4),
          stride: [...Array(4 - strides.length).fill(0), ...strides],
          offset,
          total,
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
