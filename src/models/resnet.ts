import type { Tensor } from "../graph/graph.ts";
import type { WeightScope } from "../weights/scope.ts";
import { conv2d, groupNorm, linear } from "./layers.ts";

/** Sizes of a residual block. */
export interface ResnetOptions {
  /** Output channels. */
  readonly out: number;
  /** Groups of its norms. */
  readonly groups: number;
  /** Added to variances. */
  readonly eps: number;
  /** (B, E), SiLU of the time embedding; the VAE has none. */
  readonly time?: Tensor;
}

/** diffusers' `ResnetBlock2D`: (B, H, W, C) → (B, H, W, out). */
export function resnet(
  x: Tensor,
  w: WeightScope,
  { out, groups, eps, time }: ResnetOptions,
): Tensor {
  const channelBias = time && linear(time, w.at("time_emb_proj"), out);
  let h = groupNorm(x, w.at("norm1"), groups, eps, "silu");
  h = conv2d(h, w.at("conv1"), out, { channelBias });
  h = groupNorm(h, w.at("norm2"), groups, eps, "silu");
  const residual = x.shape[3] === out
    ? x
    : conv2d(x, w.at("conv_shortcut"), out, { kernel: 1 });
  return conv2d(h, w.at("conv2"), out, { residual });
}
