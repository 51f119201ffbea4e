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
      .sort((a, b) => Math.abs(b.stride) - Math.abs(a.stride)),
    repeating: all.filter(({ stride }) => stride === 0),
  };
}

/** Whether every element of x is seen at most once, but for repetition. */
function isInjective(moving: readonly Axis[]): boolean {
  return moving.every(({ stride }, i) => {
    const inner = moving.slice(i + 1)
      .reduce((sum, axis) => sum + (axis.length - 1) * axis.stride, 0);
    return stride > inner;
  });
}

/** The gradient by x of a `view` of x, from the gradient by the view. */
export const viewGradient: Op<
  { gradient: TensorSpec },
  ViewGradientAttributes
> = {
  name: "view_gradient",
  dtypes: { gradient: "any" },

  outputs(inputs, attributes) {
    const { of, shape, strides, dtype = inputs.gradient.dtype } = attributes;
    const { moving } = axesOf(attributes);
    expectShape(
      sameShape(inputs.gradient.shape, shape) &&
        shape.length === strides.length && shape.length <= AXES &&
        isInjective(moving),
      "view_gradient",
      `a gradient (${
        shape.join(", ")
      }) of at most ${AXES} axes whose strides (${
        strides.join(", ")
      }) are positive and do not overlap`,
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
