/**
 * What the gradients of the norms share: the outputs by the affine parameters.
 *
 * @module
 */
import affine from "../../../shaders/affine_gradient.wgsl" with {
  type: "text",
};
import { type Launch, readsScratch, type TensorSpec, writes } from "../op.ts";

/** Outputs of a norm's gradient: by x, and where asked for by weight and bias. */
export type NormGradients = "x" | "weight" | "bias";

/**
 * The outputs of a norm's gradient.
 *
 * @param affine whether those of weight and bias are asked for
 */
export function normGradients(
  { x, weight }: { x: TensorSpec; weight: TensorSpec },
  affine: boolean,
): Record<NormGradients, TensorSpec> {
  const { shape, dtype } = weight;
  const parameter = { shape, dtype };
  const gradients: Partial<Record<NormGradients, TensorSpec>> = {
    x: { shape: x.shape, dtype: x.dtype },
    ...affine && { weight: parameter, bias: parameter },
  };
  // Without affine there is no tensor, and no memory, for the other two.
  return gradients as Record<NormGradients, TensorSpec>;
}

/**
 * Sums (M, R, C) in scratch over M: its row 0 is the gradient of the bias, its row 1
 * that of the weight.
 */
export function launchAffine<S extends string>(
  scratch: S,
  [partials, rows, channels]: readonly [number, number, number],
): Launch<never, "weight" | "bias", S> {
  return {
    shader: "affine_gradient",
    code: affine,
    bind: [...readsScratch(scratch), ...writes("weight", "bias")],
    params: { partials, rows, channels },
    workgroups: Math.ceil(channels / 32),
  };
}
