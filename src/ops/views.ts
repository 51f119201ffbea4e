/**
 * Ops that move elements and compute nothing.
 *
 * @module
 */
import concatCode from "../../shaders/concat.wgsl" with { type: "text" };
import viewCode from "../../shaders/view.wgsl" with { type: "text" };
import { padShape } from "./elementwise.ts";
import {
  type DType,
  elementBytes,
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "./op.ts";
import { bindRows, cutRows } from "./slices.ts";

const GROUP = 64;
/** Types a copy may be made of, widest first, and their bytes. */
const copyUnits = [["vec4<u32>", 16], ["u32", 4]] as const;

/** Attributes of {@linkcode view}. */
export interface ViewAttributes {
  /** Shape of the output, at most four axes. */
  shape: readonly number[];
  /** Elements of x from one element of the output to the next, by axis. */
  strides: readonly number[];
  /** Where in x the output starts, in elements; 0 where not given. */
  offset?: number;
  /** Element type of the output; x's own where not given. */
  dtype?: DType;
}

/** A strided copy: slice, transpose, repeat, cast. */
export const view: Op<{ x: TensorSpec }, ViewAttributes> = {
  name: "view",
  dtypes: { x: "any" },

  outputs(inputs, { shape, strides, offset = 0, dtype = inputs.x.dtype }) {
    const last = shape.reduce(
      (sum, length, i) => sum + (length - 1) * strides[i],
      offset,
    );
    expectShape(
      shape.length <= 4 && shape.length === strides.length &&
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

/** Attributes of {@linkcode concat}. */
export interface ConcatAttributes {
  /** The axis that grows. */
  axis: number;
}

/** `torch.cat` of two tensors. */
export const concat: Op<{ a: TensorSpec; b: TensorSpec }, ConcatAttributes> = {
  name: "concat",

  outputs(inputs, { axis }) {
    const { a, b } = inputs;
    expectShape(
      a.shape.length === b.shape.length && axis < a.shape.length &&
        a.shape.every((length, i) => i === axis || length === b.shape[i]),
      "concat",
      `shapes that differ in axis ${axis} alone`,
      inputs,
    );
    const shape = [...a.shape];
    shape[axis] += b.shape[axis];
    return { output: { shape, dtype: a.dtype } };
  },

  kernels: [{
    name: "baseline",
    launch(
      { inputs: { a, b }, outputs: { output }, attributes: { axis } },
      { limits },
    ) {
      const size = elementBytes(output.dtype);
      const bytesA = elementCount(a.shape.slice(axis)) * size;
      const bytesB = elementCount(b.shape.slice(axis)) * size;
      const rowBytes = bytesA + bytesB;
      const all = elementCount(output.shape) * size / rowBytes;
      const [wide, unit] = copyUnits.find(([, bytes]) =>
        bytesA % bytes === 0 && bytesB % bytes === 0
      ) ?? [output.dtype, size];
      return cutRows(all, rowBytes, limits).map((slice) => {
        const total = slice.rows * rowBytes / unit;
        return {
          shader: "concat",
          code: concatCode,
          types: { ELEMENT: wide },
          bind: bindRows([...reads("a", "b"), ...writes("output")], slice, {
            a: bytesA,
            b: bytesB,
            output: rowBytes,
          }),
          params: { a: bytesA / unit, b: bytesB / unit, total },
          workgroups: Math.ceil(total / GROUP),
        };
      });
    },
  }],
};
