/**
 * The kernels that convolutions and linear layers share: a linear layer is a
 * 1 × 1 convolution.
 *
 * @module
 */
import type { GpuLimits } from "../../gpu/gpu.ts";
import type { Call, Kernel } from "../op.ts";
import { fitsVec8 } from "../stored_vectors.ts";
import type { Conv2dInputs } from "./call.ts";
import type { Convolution, PixelSlice } from "./convolution.ts";
import { launchTextured, packedInputs, packedScratch } from "./textured.ts";
import { launchTiled } from "./tiled.ts";

/** How an op with attributes `A` is computed as a convolution. */
export interface ConvolutionRule<A> {
  /** The convolution that computes a call. */
  convolution(call: Call<Conv2dInputs, A>): Convolution;
  /** Its pixels, split so that each slice of x and of the output fits a binding. */
  slices(call: Call<Conv2dInputs, A>, limits: GpuLimits): PixelSlice[];
  /** The same, if x is packed into a texture. */
  texelSlices(call: Call<Conv2dInputs, A>, limits: GpuLimits): PixelSlice[];
}

/** The kernel that keeps tiles in workgroup memory. */
export function tiledKernel<A>(
  rule: ConvolutionRule<A>,
): Kernel<Conv2dInputs, A> {
  return {
    name: "workgroup-tiled",
    supports: ({ inputs: { weight } }) => fitsVec8(weight),
    launch(call, target) {
      const conv = rule.convolution(call);
      return rule.slices(call, target.limits)
        .map((slice) => launchTiled(conv, slice, target));
    },
  };
}

/** The kernel that reads x and the weight from textures. */
export function texturedKernel<A>(
  rule: ConvolutionRule<A>,
): Kernel<Conv2dInputs, A> {
  return {
    name: "texture-backed",
    supports: ({ inputs: { weight } }) => fitsVec8(weight),
    weightLayout: "blocks",
    texelInputs: (call, { limits }) =>
      packedInputs(rule.texelSlices(call, limits)),
    scratch: (call, { limits }) =>
      packedScratch(rule.convolution(call), rule.texelSlices(call, limits)),
    launch(call, target) {
      const conv = rule.convolution(call);
      const slices = rule.texelSlices(call, target.limits);
      return launchTextured(conv, call.inputs.x, slices, target);
    },
  };
}
