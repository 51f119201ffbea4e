import derivative from "../../../shaders/activation_derivative.wgsl" with {
  type: "text",
};
import code from "../../../shaders/geglu_gradient.wgsl" with { type: "text" };
import {
  elementBytes,
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";
import { bindRows, splitRows } from "../slices.ts";
import { vec4Code } from "../stored_vectors.ts";

const GROUP = 64;

/** Inputs of {@linkcode gegluGradient}. */
export type GegluGradientInputs = {
  /** (…, 2N), what GEGLU was applied to */
  x: TensorSpec;
  /** (…, N), the gradient by its output */
  gradient: TensorSpec;
};

/** The gradient of GEGLU by x: (…, 2N), N a multiple of 4. */
export const gegluGradient: Op<GegluGradientInputs, Record<never, never>> = {
  name: "geglu_gradient",

  outputs(inputs) {
    const { x, gradient } = inputs;
    const columns = x.shape.at(-1)! / 2;
    expectShape(
      columns % 4 === 0 &&
        sameShape(gradient.shape, [...x.shape.slice(0, -1), columns]),
      "geglu_gradient",
      "x (…, 2N), gradient (…, N), N a multiple of 4",
      inputs,
    );
    return { output: x };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { gradient } }, { limits, storage }) {
      const columns = gradient.shape.at(-1)!;
      const rowBytes = columns * elementBytes(gradient.dtype);
      const rows = elementCount(gradient.shape) / columns;
      return splitRows(rows, 2 * rowBytes, limits).map((slice) => ({
        shader: "geglu_gradient",
        code: vec4Code(storage) + derivative + code,
        bind: bindRows(
          [...reads("x", "gradient"), ...writes("output")],
          slice,
          {
            x: 2 * rowBytes,
            gradient: rowBytes,
            output: 2 * rowBytes,
          },
        ),
        params: {
          columns4: columns / 4,
          total: slice.rows * columns / 4,
        },
        workgroups: Math.ceil(slice.rows * columns / 4 / GROUP),
      }));
    },
  }],
};
