/**
 * The gradients of ops as plain loops in f64: what the shaders of
 * `src/ops/gradients/` are compared with.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";
import type { Pool2dAttributes } from "../../src/ops/pool2d.ts";
import { erf } from "./activations.ts";
import { type Dense, dense } from "./reference.ts";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** The derivative of an activation at one value. */
export function activateDerivative(
  kind: Activation | undefined,
  x: number,
): number {
  switch (kind) {
    case "silu":
      return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case "gelu":
      return (1 + erf(x / Math.SQRT2)) / 2 +
        x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    case "quick_gelu":
      return sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - sigmoid(1.702 * x)));
    case "relu":
      return x > 0 ? 1 : 0;
    case "sigmoid":
      return sigmoid(x) * (1 - sigmoid(x));
    default:
      return 1;
  }
}

/** The gradients of a norm. */
export interface NormGradients {
  /** By its input. */
  readonly x: Dense;
  /** By its weight. */
  readonly weight: Dense;
  /** By its bias. */
  readonly bias: Dense;
}

/** What is normalised together: indices of x's elements. */
type Places = readonly number[];

/** A norm over sets of places, x's last axis being channels, then an activation. */
function normGradient(
  { x, weight, bias, gradient }: {
    x: Dense;
    weight: Dense;
    bias?: Dense;
    gradient: Dense;
  },
  sets: readonly Places[],
  eps: number,
  activation?: Activation,
): NormGradients {
  const channels = x.shape.at(-1)!;
  const found = {
    x: dense(x.shape),
    weight: dense([channels]),
    bias: dense([channels]),
  };
  const average = (places: Places, value: (i: number) => number) =>
    places.reduce((sum, i) => sum + value(i), 0) / places.length;
  for (const places of sets) {
    const mean = average(places, (i) => x.data[i]);
    const variance = average(places, (i) => (x.data[i] - mean) ** 2);
    const scale = 1 / Math.sqrt(variance + eps);
    const normalised = (i: number) => (x.data[i] - mean) * scale;
    // By what the affine parameters are applied to, through the activation.
    const slopes = new Map(places.map((i) => {
      const c = i % channels;
      const z = normalised(i) * weight.data[c] + (bias?.data[c] ?? 0);
      return [i, gradient.data[i] * activateDerivative(activation, z)];
    }));
    const weighted = (i: number) => slopes.get(i)! * weight.data[i % channels];
    const level = average(places, weighted);
    const slope = average(places, (i) => weighted(i) * normalised(i));
    for (const i of places) {
      found.x.data[i] = scale * (weighted(i) - level - normalised(i) * slope);
      found.weight.data[i % channels] += slopes.get(i)! * normalised(i);
      found.bias.data[i % channels] += slopes.get(i)!;
    }
  }
  return found;
}

/** Of a group norm of x (B, …, C), then an activation. */
export function groupNormGradient(
  inputs: { x: Dense; weight: Dense; bias: Dense; gradient: Dense },
  { groups, eps, activation }: {
    groups: number;
    eps: number;
    activation?: Activation;
  },
): NormGradients {
  const { x } = inputs;
  const batch = x.shape[0];
  const channels = x.shape.at(-1)!;
  const size = x.data.length / batch;
  const wide = channels / groups;
  const sets = Array.from({ length: batch * groups }, (_, group) => {
    const first = Math.floor(group / groups) * size + group % groups * wide;
    const places: number[] = [];
    for (let pixel = 0; pixel < size; pixel += channels) {
      for (let c = 0; c < wide; c++) places.push(first + pixel + c);
    }
    return places;
  });
  return normGradient(inputs, sets, eps, activation);
}

/** Of a layer norm over the last axis. */
export function layerNormGradient(
  inputs: { x: Dense; weight: Dense; gradient: Dense },
  eps: number,
): NormGradients {
  const { x } = inputs;
  const channels = x.shape.at(-1)!;
  const sets = Array.from(
    { length: x.data.length / channels },
    (_, row) => Array.from({ length: channels }, (_, c) => row * channels + c),
  );
  return normGradient(inputs, sets, eps);
}

/** Of a softmax over the last axis. */
export function softmaxGradient(
  { softmax: y, gradient }: { softmax: Dense; gradient: Dense },
): Dense {
  const columns = y.shape.at(-1)!;
  return dense(y.shape, (i) => {
    const row = i - i % columns;
    let sum = 0;
    for (let n = row; n < row + columns; n++) {
      sum += gradient.data[n] * y.data[n];
    }
    return y.data[i] * (gradient.data[i] - sum);
  });
}

/** Of an embedding by its table of so many rows. */
export function embeddingGradient(
  { ids, gradient }: { ids: Dense; gradient: Dense },
  vocabulary: number,
): Dense {
  const channels = gradient.shape[2];
  const table = dense([vocabulary, channels]);
  gradient.data.forEach((value, i) => {
    const id = ids.data[Math.floor(i / channels)];
    table.data[id * channels + i % channels] += value;
  });
  return table;
}

/** Of an embedding by its positions, of which there are so many. */
export function positionGradient(gradient: Dense, positions: number): Dense {
  const [, tokens, channels] = gradient.shape;
  const found = dense([positions, channels]);
  gradient.data.forEach((value, i) => {
    found.data[i % (tokens * channels)] += value;
  });
  return found;
}

/** Of resizing by repeating pixels, by its input of a size. */
export function nearestGradient(
  gradient: Dense,
  height: number,
  width: number,
): Dense {
  const [batch, outHeight, outWidth, channels] = gradient.shape;
  const found = dense([batch, height, width, channels]);
  gradient.data.forEach((value, i) => {
    const c = i % channels;
    const ox = Math.floor(i / channels) % outWidth;
    const oy = Math.floor(i / channels / outWidth) % outHeight;
    const b = Math.floor(i / channels / outWidth / outHeight);
    const y = Math.floor(oy * height / outHeight);
    const x = Math.floor(ox * width / outWidth);
    found.data[((b * height + y) * width + x) * channels + c] += value;
  });
  return found;
}

/** Of pooling by its input x: to the first maximum of a window, or to all it holds. */
export function pool2dGradient(
  { x, gradient }: { x: Dense; gradient: Dense },
  { mode, kernel, stride = 1, padding = 0 }: Pool2dAttributes,
): Dense {
  const [, height, width, channels] = x.shape;
  const [, outHeight, outWidth] = gradient.shape;
  const found = dense(x.shape);
  gradient.data.forEach((value, i) => {
    const c = i % channels;
    const ox = Math.floor(i / channels) % outWidth;
    const oy = Math.floor(i / channels / outWidth) % outHeight;
    const b = Math.floor(i / channels / outWidth / outHeight);
    const places: number[] = [];
    for (let ky = 0; ky < kernel[0]; ky++) {
      for (let kx = 0; kx < kernel[1]; kx++) {
        const iy = oy * stride + ky - padding;
        const ix = ox * stride + kx - padding;
        if (iy < 0 || ix < 0 || iy >= height || ix >= width) continue;
        places.push(((b * height + iy) * width + ix) * channels + c);
      }
    }
    if (mode === "mean") {
      for (const at of places) {
        found.data[at] += value / (kernel[0] * kernel[1]);
      }
      return;
    }
    const most = Math.max(...places.map((at) => x.data[at]));
    found.data[places.find((at) => x.data[at] === most)!] += value;
  });
  return found;
}
