import gegluCode from "../../shaders/geglu.wgsl" with { type: "text" };
import {
  elementBytes,
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";
import { bindRows, splitRows } from "./slices.ts";
import { vec4Code } from "./stored_vectors.ts";

const GROUP = 64;

/** diffusers' GEGLU after its projection: (…, 2N) → (…, N), N % 4 = 0. */
export const geglu: Op<{ x: TensorSpec }, Record<never, never>> = {
  name: "geglu",

  outputs(inputs) {
    const { x } = inputs;
    const columns = x.shape.at(-1)! / 2;
    expectShape(
      columns % 4 === 0,
      "geglu",
      "x (…, 2N), N a multiple of 4",
      inputs,
    );
    const shape = [...x.shape.slice(0, -1), columns];
    return { output: { shape, dtype: x.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch({ outputs: { output } }, { limits, storage }) {
      const columns = output.shape.at(-1)!;
      const rowBytes = columns * elementBytes(output.dtype);
      const rows = elementCount(output.shape) / columns;
      return splitRows(rows, 2 * rowBytes, limits).map((slice) => ({
        shader: "geglu",
        code: vec4Code(storage) + gegluCode,
        bind: bindRows([...reads("x"), ...writes("output")], slice, {
          x: 2 * rowBytes,
          output: rowBytes,
        }),
        params: {
          columns4: columns / 4,
          total: slice.rows * columns / 4,
        },
        workgroups: Math.ceil(slice.rows * columns / 4 / GROUP),
      }));
    },
  }],
};
