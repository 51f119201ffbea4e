import code from "../../../shaders/position_gradient.wgsl" with {
  type: "text",
};
import {
  elementCount,
  expectShape,
  type Op,
  reads,
  type TensorSpec,
  writes,
} from "../op.ts";

const GROUP = 64;

/** Attributes of {@linkcode positionGradient}. */
export interface PositionGradientAttributes {
  /** Rows of the table of positions, T or more. */
  positions: number;
}

/**
 * The gradient of {@linkcode ../embedding.ts}'s `embedding` by its positions:
 * the embedding's (B, T, C) to (positions, C).
 */
export const positionGradient: Op<
  { gradient: TensorSpec },
  PositionGradientAttributes
> = {
  name: "position_gradient",

  outputs(inputs, { positions }) {
    const { shape, dtype } = inputs.gradient;
    expectShape(
      shape.length === 3 && positions >= shape[1],
      "position_gradient",
      `gradient (B, T, C) with T at most ${positions}`,
      inputs,
    );
    return { output: { shape: [positions, shape[2]], dtype } };
  },

  kernels: [{
    name: "baseline",
    launch({ inputs: { gradient }, outputs: { output } }) {
      const [batch, tokens, channels] = gradient.shape;
      const total = elementCount(output.shape);
      return [{
        shader: "position_gradient",
        code,
        bind: [...reads("gradient"), ...writes("output")],
        params: { batch, row: tokens * channels, total },
        workgroups: Math.ceil(total / GROUP),
      }];
    },
  }],
};
