import type { OpNode, Tensor } from "../../graph/graph.ts";
import { conv2d, type Conv2dAttributes } from "../../ops/conv2d/conv2d.ts";
import { mapGradient } from "../../ops/gradients/map_gradient.ts";
import { resizeGradient } from "../../ops/gradients/resize_gradient.ts";
import { viewGradient } from "../../ops/gradients/view_gradient.ts";
import { weightGradient } from "../../ops/gradients/weight_gradient.ts";
import { sum } from "../../ops/sum.ts";
import { padChannels } from "../../weights/transposed.ts";
import type { Backward, InputGradients } from "./rule.ts";
import { padLast } from "./shapes.ts";

/**
 * y = act(x ∗ W + bias + channelBias + residual): the gradient by x is a convolution
 * with W laid out the other way, by the same kernels, of a dy spread out by the
 * stride; that by W a sum over the pixels.
 */
export function conv2dRule(backward: Backward): InputGradients {
  const { graph, node, needs } = backward;
  const { x, weight } = node.inputs;
  const { stride, padding, upsampleTo } = node.attributes as Conv2dAttributes;
  const dy = beforeActivation(backward);
  const padded = needs("x") || needs("weight")
    ? padLast(dy, padChannels(dy.shape[3]))
    : dy;
  return {
    x: needs("x") ? gradientOfX(padded, backward) : undefined,
    weight: needs("weight")
      ? graph.apply(weightGradient, { x: x!, gradient: padded }, {
        weight: weight!.shape,
        stride,
        padding,
        upsampleTo,
      })
      : undefined,
    bias: needs("bias")
      ? graph.apply(sum, { x: dy }, { axes: [0, 3] })
      : undefined,
    channelBias: needs("channelBias")
      ? graph.apply(sum, { x: dy }, { axes: [1, 3] })
      : undefined,
    residual: needs("residual") ? dy : undefined,
  };
}

/** The gradient by what the activation was applied to, which is computed again. */
function beforeActivation({ graph, node, gradients }: Backward): Tensor {
  const attributes = node.attributes as Conv2dAttributes;
  const { activation } = attributes;
  const dy = gradients.output!;
  if (!activation || activation === "none") return dy;
  const { x, weight, bias, channelBias, residual } = node.inputs;
  const sums = graph.apply(
    conv2d,
    { x: x!, weight: weight!, bias, channelBias, residual },
    { ...attributes, activation: undefined },
  );
  return graph.apply(mapGradient, { x: sums, gradient: dy }, { activation });
}

/** dy (B, OH, OW, O), O padded → the gradient by x (B, H, W, I). */
function gradientOfX(
  dy: Tensor,
  { graph, node, take, transposed }: Backward,
): Tensor {
  const { x, weight } = node.inputs;
  const { upsampleTo } = node.attributes as Conv2dAttributes;
  const whole = graph.apply(conv2d, {
    x: spreadOut(dy, node),
    weight: transposed(weight!),
    bias: undefined,
    channelBias: undefined,
    residual: upsampleTo ? undefined : take("x"),
  }, { padding: paddingOf(node) });
  if (!upsampleTo) return whole;
  const [, height, width] = x!.shape;
  return graph.apply(resizeGradient, { gradient: whole }, {
    height,
    width,
    mode: "nearest",
  });
}

/** Rows or columns of dy once it is spread out by the stride. */
function spreadLength(length: number, stride: number): number {
  return (length - 1) * stride + 1;
}

/** Puts zeros between the pixels of dy, stride − 1 of them. */
function spreadOut(dy: Tensor, { attributes }: OpNode): Tensor {
  const { stride = 1 } = attributes as Conv2dAttributes;
  if (stride === 1) return dy;
  const [batch, height, width, channels] = dy.shape;
  const rows = spreadLength(height, stride);
  const columns = spreadLength(width, stride);
  return dy.graph.apply(viewGradient, { gradient: dy }, {
    of: [batch, rows, columns, channels],
    shape: dy.shape,
    strides: [
      rows * columns * channels,
      stride * columns * channels,
      stride * channels,
      1,
    ],
  });
}

/**
 * Padding of the convolution of dy: what makes it as large as x. Rows of x that no
 * window reached get zeros from the bottom's padding.
 */
function paddingOf(
  { inputs, outputs: { output }, attributes }: OpNode,
): [number, number, number, number] {
  const { stride = 1, padding = [0, 0, 0, 0], upsampleTo } =
    attributes as Conv2dAttributes;
  const [, kernelHeight, kernelWidth] = inputs.weight!.shape;
  const [height, width] = upsampleTo ?? inputs.x!.shape.slice(1);
  const [, outHeight, outWidth] = output.shape;
  const top = kernelHeight - 1 - padding[0];
  const left = kernelWidth - 1 - padding[3];
  const rest = (length: number, out: number, kernel: number, before: number) =>
    length - spreadLength(out, stride) - before + kernel - 1;
  return [
    top,
    rest(width, outWidth, kernelWidth, left),
    rest(height, outHeight, kernelHeight, top),
    left,
  ];
}
