import mapCode from "../../shaders/map.wgsl" with { type: "text" };
import { type Activation, activationNumber } from "./activation.ts";
import { elementCount, type Op, reads, type TensorSpec, writes } from "./op.ts";

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
