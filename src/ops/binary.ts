import binaryCode from "../../shaders/binary.wgsl" with { type: "text" };
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  shapeError,
  type TensorSpec,
  writes,
} from "./op.ts";
import { padShape } from "./pad_shape.ts";

const GROUP = 64;

/** Attributes of {@linkcode binary}. */
export interface BinaryAttributes {
  /** The operation on the two operands. */
  operation: "add" | "sub" | "mul" | "div";
}

const operations = ["add", "sub", "mul", "div"] as const;

/** `torch.add`, `sub`, `mul`, `div` with broadcasting, up to four axes. */
export const binary: Op<{ a: TensorSpec; b: TensorSpec }, BinaryAttributes> = {
  name: "binary",

  outputs(inputs) {
    const { a, b } = inputs;
    const rank = Math.max(a.shape.length, b.shape.length);
    const left = padShape(a.shape, rank);
    const right = padShape(b.shape, rank);
    const shape = left.map((length, i) => {
      if (length === right[i] || right[i] === 1) return length;
      if (length === 1) return right[i];
      throw shapeError("binary", "shapes that broadcast", inputs);
    });
    expectShape(rank <= 4, "binary", "at most four axes", inputs);
    return { output: { shape, dtype: a.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch(
      { inputs: { a, b }, outputs: { output }, attributes: { operation } },
    ) {
      const shape = padShape(output.shape, 4);
      const total = elementCount(shape);
      return [{
        shader: "binary",
        code: binaryCode,
        constants: { OPERATION: operations.indexOf(operation) },
        bind: [...reads("a", "b"), ...writes("output")],
        params: {
          shape,
          a: broadcastStrides(a.shape, shape),
          b: broadcastStrides(b.shape, shape),
          total,
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};

/** Strides of a dense `shape` along the axes of `target`; 0 along axes that are broadcast. */
function broadcastStrides(
  shape: readonly number[],
  target: readonly number[],
): number[] {
  const padded = padShape(shape, target.length);
  const strides: number[] = [];
  let stride = 1;
  for (let axis = target.length - 1; axis >= 0; axis--) {
    strides[axis] = padded[axis] === 1 ? 0 : stride;
    stride *= padded[axis];
  }
  return strides;
}
