/**
 * Inputs and attributes of a convolution.
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
  /** (B, O), such as the time embedding; added to every pixel of an image */
  channelBias?: TensorSpec;
  /** (B, OH, OW, O), added before the activation */
  residual?: TensorSpec;
};

/** Attributes of a convolution. */
export interface Conv2dAttributes {
  /** Step of the window, 1 by default. */
  stride?: number;
  /** Zeros around the image, [top, right, bottom, left]; none by default. */
  padding?: readonly [number, number, number, number];
  /**
   * Size [rows, columns] to which x is upsampled before the convolution, by
   * repeating pixels: twice its own, or one less. Not upsampled by default.
   */
  upsampleTo?: readonly [number, number];
  /** Applied last. */
  activation?: Activation;
}

/** A convolution's shapes and attributes. */
export type Conv2dCall = Call<Conv2dInputs, Conv2dAttributes>;
