/**
 * Ops that only move elements.
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
/** Types to copy by, widest first, with their bytes. */
const copyUnits = [["vec4<u32>", 16], ["u32", 4]] as const;

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
  /** The axis along which the tensors are joined. */
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
      `shapes that differ only in axis ${axis}`,
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
      const rows = elementCount(output.shape) * size / rowBytes;
      const [element, unit] = copyUnits.find(([, bytes]) =>
        bytesA % bytes === 0 && bytesB % bytes === 0
      ) ?? [output.dtype, size];
      return cutRows(rows, rowBytes, limits).map((slice) => {
        const total = slice.rows * rowBytes / unit;
        return {
          shader: "concat",
          code: concatCode,
          types: { ELEMENT: element },
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
