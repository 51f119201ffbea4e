/**
 * BiSeNet, the face parser: assigns each pixel of a face to one of 19 classes.
 *
 * Source: the reference's `face_parsing.py`; batch norms are folded into the
 * convolutions at conversion.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import { pool2d } from "../ops/pool2d.ts";
import { resize } from "../ops/resize.ts";
import type { WeightScope } from "../weights/scope.ts";
import { ConfigReader } from "./config.ts";
import { add, concat, conv2d, multiply } from "./layers.ts";

/** Sizes of the face parser. */
export interface FaceParserConfig {
  /** Number of classes. */
  readonly classes: number;
  /** Channels of the first layer; 64 in the reference. */
  readonly width: number;
  /** Side of its input image, in pixels. */
  readonly inputSize: number;
}

/** Reads the config of `face_parser`. */
export function faceParserConfig(json: unknown): FaceParserConfig {
  const config = new ConfigReader(json, "face_parser");
  return {
    classes: config.integer("n_classes", 19),
    width: config.integer("width", 64),
    inputSize: config.integer("input_size", 512),
  };
}

/**
 * An image → the scores of each class, the first of BiSeNet's three outputs.
 *
 * @param x (B, S, S, 4), normalised, the fourth channel zero
 * @returns (B, S, S, classes)
 */
export function bisenet(
  x: Tensor,
  w: WeightScope,
  { classes, width }: FaceParserConfig,
): Tensor {
  const [, height, columns] = x.shape;
  const context = 2 * width;
  const cp = w.at("cp");
  const [feat8, feat16, feat32] = resnet18(x, cp.at("resnet"), width);

  // Context: from the coarsest level to the finest, each refined by attention.
  const average = convRelu(mean(feat32), cp.at("conv_avg"), context, 1);
  const up32 = add(attentionRefine(feat32, cp.at("arm32"), context), average);
  const head32 = convRelu(
    upsample(up32, feat16),
    cp.at("conv_head32"),
    context,
  );
  const up16 = add(attentionRefine(feat16, cp.at("arm16"), context), head32);
  const head16 = convRelu(upsample(up16, feat8), cp.at("conv_head16"), context);

  // Fusion of detail (S/8) and context (S/8).
  const f = w.at("ffm");
  const both = convRelu(
    concat(feat8, head16, 3),
    f.at("convblk"),
    4 * width,
    1,
  );
  const squeezed = conv2d(mean(both), f.at("conv1"), width, {
    kernel: 1,
    bias: false,
    activation: "relu",
  });
  const gate = conv2d(squeezed, f.at("conv2"), 4 * width, {
    kernel: 1,
    bias: false,
    activation: "sigmoid",
  });
  const fused = add(multiply(both, gate), both);

  const out = w.at("conv_out");
  const scores = conv2d(
    convRelu(fused, out.at("conv"), 4 * width),
    out.at("conv_out"),
    classes,
    { kernel: 1, bias: false },
  ); // (B, S/8, S/8, classes)
  return x.graph.apply(resize, { x: scores }, {
    height,
    width: columns,
    mode: "bilinear",
  });
}

/** ResNet-18's trunk: (B, S, S, 4) → features at S/8, S/16 and S/32. */
function resnet18(x: Tensor, w: WeightScope, width: number): Tensor[] {
  let h = conv2d(x, w.at("conv1"), width, {
    kernel: 7,
    stride: 2,
    activation: "relu",
  });
  h = x.graph.apply(pool2d, { x: h }, {
    mode: "max",
    kernel: [3, 3],
    stride: 2,
    padding: 1,
  });
  const features: Tensor[] = [];
  for (let level = 1; level <= 4; level++) {
    const out = width << (level - 1);
    for (let i = 0; i < 2; i++) {
      const stride = level > 1 && i === 0 ? 2 : 1;
      h = basicBlock(h, w.at(`layer${level}.${i}`), out, stride);
    }
    if (level > 1) features.push(h);
  }
  return features;
}

function basicBlock(
  x: Tensor,
  w: WeightScope,
  out: number,
  stride: number,
): Tensor {
  const h = conv2d(x, w.at("conv1"), out, { stride, activation: "relu" });
  const residual = stride === 1 && x.shape[3] === out
    ? x
    : conv2d(x, w.at("downsample.0"), out, { kernel: 1, stride });
  return conv2d(h, w.at("conv2"), out, { residual, activation: "relu" });
}

function convRelu(
  x: Tensor,
  w: WeightScope,
  out: number,
  kernel = 3,
): Tensor {
  return conv2d(x, w.at("conv"), out, { kernel, activation: "relu" });
}

/** Attention refinement: scales each channel by a gate computed from its mean. */
function attentionRefine(x: Tensor, w: WeightScope, out: number): Tensor {
  const h = convRelu(x, w.at("conv"), out);
  const gate = conv2d(mean(h), w.at("conv_atten"), out, {
    kernel: 1,
    activation: "sigmoid",
  });
  return multiply(h, gate);
}

/** Mean over the image: (B, H, W, C) → (B, 1, 1, C). */
function mean(x: Tensor): Tensor {
  const [, height, width] = x.shape;
  return x.graph.apply(pool2d, { x }, {
    mode: "mean",
    kernel: [height, width],
  });
}

/** Nearest-neighbour upsampling to the size of another tensor. */
function upsample(x: Tensor, like: Tensor): Tensor {
  const [, height, width] = like.shape;
  return x.graph.apply(resize, { x }, { height, width, mode: "nearest" });
}
