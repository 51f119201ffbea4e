import concatCode from "../../shaders/concat.wgsl" with { type: "text" };
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

const GROUP = 64;

/** Types to copy by, widest first, with their bytes. */
const copyUnits = [["vec4<u32>", 16], ["u32", 4]] as const;

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
      return splitRows(rows, rowBytes, limits).map((slice) => {
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
