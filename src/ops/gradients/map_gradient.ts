import derivative from "../../../shaders/activation_derivative.wgsl" with {
  type: "text",
};
import code from "../../../shaders/map_gradient.wgsl" with { type: "text" };
import { type Activation, activationNumber } from "../activation.ts";
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";

const GROUP = 64;

/** Inputs of {@linkcode mapGradient}. */
export type MapGradientInputs = {
  /** What the activation was applied to. */
  x: TensorSpec;
  /** The gradient by the output, of the same shape. */
  gradient: TensorSpec;
};

/** Attributes of {@linkcode mapGradient}. */
export interface MapGradientAttributes {
  /** The activation. */
  readonly activation?: Activation;
  /** What its result was multiplied by; 1 by default. */
  readonly scale?: number;
}

/** The gradient of an activation: `scale · activation'(x) · gradient`. */
export const mapGradient: Op<MapGradientInputs, MapGradientAttributes> = {
  name: "map_gradient",

  outputs(inputs) {
    expectShape(
      sameShape(inputs.x.shape, inputs.gradient.shape),
      "map_gradient",
      "x and gradient of one shape",
      inputs,
    );
    return { output: inputs.x };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { x }, attributes: { activation, scale = 1 } }) {
      const total = elementCount(x.shape);
      return [{
        shader: "map_gradient",
        code: derivative + code,
        bind: [...reads("x", "gradient"), ...writes("output")],
        params: { total, scale, activation: activationNumber(activation) },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
