import code from "../../../shaders/view_gradient.wgsl" with { type: "text" };
import {
  type DType,
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";

const GROUP = 64;
const AXES = 4;

/** Attributes of {@linkcode viewGradient}. */
export interface ViewGradientAttributes {
  /** Shape of what was viewed. */
  readonly of: readonly number[];
  /** Shape of the view. */
  readonly shape: readonly number[];
  /** Its strides in what was viewed, in elements; 0 repeats. */
  readonly strides: readonly number[];
  /** Index of its first element; 0 by default. */
  readonly offset?: number;
  /** Element type of the output; that of the gradient by default. */
  readonly dtype?: DType;
}

/** An axis of a view. */
interface Axis {
  readonly stride: number;
  readonly length: number;
  /** Distance in the gradient. */
  readonly step: number;
}

function axesOf({ shape, strides }: ViewGradientAttributes) {
  let step = 1;
  const all = shape.map((length, i) => ({ length, stride: strides[i], i }))
    .reverse().map(({ length, stride }): Axis => {
      const axis = { length, stride, step };
      step *= length;
      return axis;
    }).filter(({ length }) => length > 1);
  return {
    moving: all.filter(({ stride }) => stride !== 0)
      .sort((a, b) => b.stride - a.stride),
    repeating: all.filter(({ stride }) => stride === 0),
  };
}

/** How far the axes after each one go in what was viewed. */
function reachOf(moving: readonly Axis[]): number[] {
  return moving.map((_, i) =>
    moving.slice(i + 1)
      .reduce((sum, { length, stride }) => sum + (length - 1) * stride, 0)
  );
}

/** The gradient by x of a `view` of x, from the gradient by the view. */
export const viewGradient: Op<
  { gradient: TensorSpec },
  ViewGradientAttributes
> = {
  name: "view_gradient",
  dtypes: { gradient: "any" },

  outputs(inputs, attributes) {
    const { of, shape, strides, offset = 0, dtype = inputs.gradient.dtype } =
      attributes;
    const last = shape.reduce(
      (sum, length, i) => sum + (length - 1) * strides[i],
      offset,
    );
    expectShape(
      sameShape(inputs.gradient.shape, shape) &&
        shape.length === strides.length && shape.length <= AXES &&
        [offset, ...strides].every((n) => Number.isSafeInteger(n) && n >= 0) &&
        last < elementCount(of),
      "view_gradient",
      `a gradient (${
        shape.join(", ")
      }) of at most ${AXES} axes, whose strides (${
        strides.join(", ")
      }) are not negative and stay within (${of.join(", ")}) from ${offset}`,
      inputs,
    );
    return { output: { shape: [...of], dtype } };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { gradient }, outputs: { output }, attributes }) {
      const { moving, repeating } = axesOf(attributes);
      const total = elementCount(output.shape);
      const padded = (values: readonly number[], by: number) =>
        [...values, ...Array(AXES).fill(by)].slice(0, AXES);
      return [{
        shader: "view_gradient",
        code,
        types: { SOURCE: gradient.dtype, TARGET: output.dtype },
        bind: [...reads("gradient"), ...writes("output")],
        params: {
          stride: padded(moving.map(({ stride }) => stride), 1),
          length: padded(moving.map(({ length }) => length), 1),
          step: padded(moving.map(({ step }) => step), 0),
          reach: padded(reachOf(moving), 0),
          repeat_length: padded(repeating.map(({ length }) => length), 1),
          repeat_step: padded(repeating.map(({ step }) => step), 0),
          offset: attributes.offset ?? 0,
          total,
        },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
