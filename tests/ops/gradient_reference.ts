/**
 * The gradients of ops as plain loops in f64: what the shaders of
 * `src/ops/gradients/` are compared with.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";
import type { Pool2dAttributes } from "../../src/ops/pool2d.ts";
import { erf, gelu } from "./activations.ts";
import {
  type Attend,
  type Dense,
  dense,
  nearest,
  type Window,
} from "./reference.ts";

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
    case "leaky_relu":
      return x > 0 ? 1 : 0.2;
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

/** Of an activation, times a number. */
export function mapGradient(
  { x, gradient }: { x: Dense; gradient: Dense },
  activation?: Activation,
  scale = 1,
): Dense {
  return dense(
    x.shape,
    (i) => scale * activateDerivative(activation, x.data[i]) * gradient.data[i],
  );
}

/** Of GEGLU by its input x (…, 2N). */
export function gegluGradient(
  { x, gradient }: { x: Dense; gradient: Dense },
): Dense {
  const columns = gradient.shape.at(-1)!;
  return dense(x.shape, (i) => {
    const row = Math.floor(i / columns / 2);
    const column = i % columns;
    const hidden = x.data[row * 2 * columns + column];
    const gate = x.data[row * 2 * columns + columns + column];
    const slope = gradient.data[row * columns + column];
    return i % (2 * columns) < columns
      ? slope * gelu(gate)
      : slope * hidden * activateDerivative("gelu", gate);
  });
}

/** Of elements picked by strides, by the tensor of shape `of` they come from. */
export function viewGradient(
  gradient: Dense,
  of: readonly number[],
  strides: readonly number[],
  offset = 0,
): Dense {
  const { shape } = gradient;
  const found = dense(of);
  gradient.data.forEach((value, i) => {
    let at = offset;
    for (let axis = shape.length - 1, rest = i; axis >= 0; axis--) {
      at += (rest % shape[axis]) * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    found.data[at] += value;
  });
  return found;
}

/** Of a convolution by its weight (O, KH, KW, I); the gradient's last axis may be padded. */
export function convWeightGradient(
  { x, gradient }: { x: Dense; gradient: Dense },
  weight: readonly number[],
  { stride = 1, padding = [0, 0, 0, 0], upsampleTo }: Window & {
    readonly upsampleTo?: readonly [number, number];
  },
): Dense {
  const image = upsampleTo ? nearest(x, ...upsampleTo) : x;
  const [batch, height, width, channels] = image.shape;
  const [, rows, columns, padded] = gradient.shape;
  const [, kernelHeight, kernelWidth] = weight;
  return dense(weight, (i) => {
    const c = i % channels;
    const kx = Math.floor(i / channels) % kernelWidth;
    const ky = Math.floor(i / channels / kernelWidth) % kernelHeight;
    const o = Math.floor(i / channels / kernelWidth / kernelHeight);
    let sum = 0;
    for (let b = 0; b < batch; b++) {
      for (let oy = 0; oy < rows; oy++) {
        const iy = oy * stride + ky - padding[0];
        if (iy < 0 || iy >= height) continue;
        for (let ox = 0; ox < columns; ox++) {
          const ix = ox * stride + kx - padding[3];
          if (ix < 0 || ix >= width) continue;
          sum += gradient.data[((b * rows + oy) * columns + ox) * padded + o] *
            image.data[((b * height + iy) * width + ix) * channels + c];
        }
      }
    }
    return sum;
  });
}

/** Of a linear layer by its weight (N, K). */
export function linearWeightGradient(
  { x, gradient }: { x: Dense; gradient: Dense },
  weight: readonly number[],
): Dense {
  const asRow = ({ shape, data }: Dense) => {
    const columns = shape.at(-1)!;
    return { shape: [1, 1, data.length / columns, columns], data };
  };
  const rows = { x: asRow(x), gradient: asRow(gradient) };
  const [n, k] = weight;
  return {
    shape: weight,
    data: convWeightGradient(rows, [n, 1, 1, k], {}).data,
  };
}

/** Of attention by queries, keys and values, as {@linkcode ./reference.ts}'s `attention`. */
export function attentionGradient(
  { q, k, v, gradient, identityScale }: {
    q: Dense;
    k: Dense;
    v: Dense;
    gradient: Dense;
    identityScale?: Dense;
  },
  { heads, textKeys = k.shape[1], causal = false }: Attend,
): { readonly q: Dense; readonly k: Dense; readonly v: Dense } {
  const [batch, queries, channels] = q.shape;
  const keys = k.shape[1];
  const width = channels / heads;
  const scale = 1 / Math.sqrt(width);
  const found = { q: dense(q.shape), k: dense(k.shape), v: dense(v.shape) };
  const parts: [number, number, number][] = [[0, textKeys, 1]];
  if (identityScale) parts.push([textKeys, keys, identityScale.data[0]]);
  const dot = (a: Dense, i: number, b: Dense, j: number) => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += a.data[i + d] * b.data[j + d];
    return sum;
  };
  const addTo = (a: Dense, i: number, by: number, b: Dense, j: number) => {
    for (let d = 0; d < width; d++) a.data[i + d] += by * b.data[j + d];
  };
  for (let row = 0; row < batch * queries * heads; row++) {
    const head = row % heads;
    const t = Math.floor(row / heads) % queries;
    const b = Math.floor(row / heads / queries);
    const query = row * width;
    const keyAt = (s: number) => (b * keys + s) * channels + head * width;
    for (const [start, end, weight] of parts) {
      const last = causal ? Math.min(end, t + 1) : end;
      const places = Array.from(
        { length: Math.max(0, last - start) },
        (_, i) => keyAt(start + i),
      );
      const scores = places.map((at) => scale * dot(q, query, k, at));
      const top = Math.max(...scores);
      const powers = scores.map((score) => Math.exp(score - top));
      const total = powers.reduce((sum, power) => sum + power, 0);
      const shares = powers.map((power) => power / total);
      const slopes = places.map((at) => weight * dot(gradient, query, v, at));
      const mean = shares.reduce((sum, p, i) => sum + p * slopes[i], 0);
      places.forEach((at, i) => {
        const change = scale * shares[i] * (slopes[i] - mean);
        addTo(found.q, query, change, k, at);
        addTo(found.k, at, change, q, query);
        addTo(found.v, at, weight * shares[i], gradient, query);
      });
    }
  }
  return found;
}
