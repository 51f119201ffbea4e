/**
 * Elementwise ops.
 *
 * @module
 */
import binaryCode from "../../shaders/binary.wgsl" with { type: "text" };
import gegluCode from "../../shaders/geglu.wgsl" with { type: "text" };
import mapCode from "../../shaders/map.wgsl" with { type: "text" };
import { type Activation, activationNumber } from "./activation.ts";
import {
  elementBytes,
  elementCount,
  expectShape,
  type Op,
  reads,
  shapeError,
  type TensorSpec,
  writes,
} from "./op.ts";
import { vec4Code } from "./stored_vectors.ts";
import { bindRows, cutRows } from "./slices.ts";

const GROUP = 64;

/** Attributes of {@linkcode map}. */
export interface MapAttributes {
  /** Applied first. */
  activation?: Activation;
  /** Multiplied next; 1 by default. */
  scale?: number;
  /** Added last; 0 by default. */
  offset?: number;
}

/** `scale * activation(x) + offset`. */
export const map: Op<{ x: TensorSpec }, MapAttributes> = {
  name: "map",
  outputs: ({ x }) => ({ output: x }),
  kernels: [{
    name: "baseline",
    launch(
      { inputs: { x }, attributes: { activation, scale = 1, offset = 0 } },
    ) {
      const total = elementCount(x.shape);
      return [{
        shader: "map",
        code: mapCode,
        bind: [...reads("x"), ...writes("output")],
        params: {
          total,
          scale,
          offset,
          activation: activationNumber(activation),
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};

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
      return cutRows(rows, 2 * rowBytes, limits).map((slice) => ({
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

/** A shape padded in front with ones, to `rank` axes. */
export function padShape(shape: readonly number[], rank: number): number[] {
  return [...Array(rank - shape.length).fill(1), ...shape];
}

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
