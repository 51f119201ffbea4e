/**
 * What a convolution is given.
 *
 * @module
 */
import type { Activation } from "../activation.ts";
import type { Call } from "../op.ts";
import type { TensorSpec } from "../tensor_spec.ts";

/** Inputs of a convolution. */
export type Conv2dInputs = {
  /** (B, H, W, I) */
  x: TensorSpec;
  /** (O, KH, KW, I) */
  weight: TensorSpec;
  /** (O) */
  bias?: TensorSpec;
  /** (B, O), added to every pixel of an image: the time embedding */
  channelBias?: TensorSpec;
  /** (B, OH, OW, O), added before the activation */
  residual?: TensorSpec;
};

/** Attributes of a convolution. */
export interface Conv2dAttributes {
  /** Step of the window, 1 where not given. */
  stride?: number;
  /** Zeros around the image: [top, right, bottom, left]; none where not given. */
  padding?: readonly [number, number, number, number];
  /**
   * Size [rows, columns] x is upsampled to before the convolution, by repeating
   * its pixels: twice its own, or one less; its own where not given.
   */
  upsampleTo?: readonly [number, number];
  /** Applied last. */
  activation?: Activation;
}

/** A convolution's shapes and attributes. */
export type Conv2dCall = Call<Conv2dInputs, Conv2dAttributes>;
