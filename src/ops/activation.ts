/**
 * Activations, numbered as in `shaders/prelude.wgsl`.
 *
 * @module
 */

/** Name of an activation. */
export type Activation =
  | "none"
  | "silu"
  | "gelu"
  | "quick_gelu"
  | "relu"
  | "sigmoid"
  /** Of slope 0.2 below 0, as ESRGAN has it. */
  | "leaky_relu";

const numbers: Readonly<Record<Activation, number>> = {
  none: 0,
  silu: 1,
  gelu: 2,
  quick_gelu: 3,
  relu: 4,
  sigmoid: 5,
  leaky_relu: 6,
};

/** The number of an activation in shaders. */
export function activationNumber(activation: Activation = "none"): number {
  return numbers[activation];
}
