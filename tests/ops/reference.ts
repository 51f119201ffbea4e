/**
 * Every op as plain loops in f64, from PyTorch's definitions: what the shaders
 * are compared with. Written to be read, not to be fast.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";
import { activate, gelu } from "./activations.ts";

export { activate } from "./activations.ts";

/** A dense row-major tensor. */
export interface Dense {
  /** Lengths of the axes, outermost first. */
  readonly shape: readonly number[];
  /** Its elements. */
  readonly data: Float64Array;
  /** One element without the others, of a result that is computed as it is read. */
  readonly at?: (index: number) => number;
}

/** A tensor of a shape, each element from its index. */
export function dense(
  shape: readonly number[],
  value: (index: number) => number = () => 0,
): Dense {
  const length = shape.reduce((product, n) => product * n, 1);
  return { shape, data: Float64Array.from({ length }, (_, i) => value(i)) };
}

/** A result that is computed as far as it is read: the bench reads samples of large ones. */
function computed(
  shape: readonly number[],
  at: (index: number) => number,
): Dense {
  let all: Dense | undefined;
  return {
    shape,
    at,
    get data() {
      return (all ??= dense(shape, at)).data;
    },
  };
}

/** x (…, K), weight (N, K), bias (N), residual (…, N). */
export function linear(
  { x, weight, bias, residual }: {
    x: Dense;
    weight: Dense;
    bias?: Dense;
    residual?: Dense;
  },
  activation?: Activation,
): Dense {
  const [n, k] = weight.shape;
  return computed([...x.shape.slice(0, -1), n], (i) => {
    const row = Math.floor(i / n);
    const column = i % n;
    let sum = (bias?.data[column] ?? 0) + (residual?.data[i] ?? 0);
    for (let j = 0; j < k; j++) {
      sum += x.data[row * k + j] * weight.data[column * k + j];
    }
    return activate(activation, sum);
  });
}

/** a (B, M, K) and b (B or 1, K, N), transposed where so asked. */
export function matmul(
  { a, b }: { a: Dense; b: Dense },
  transposeA = false,
  transposeB = false,
): Dense {
  const [batch, rows, columns] = a.shape;
  const [m, k] = transposeA ? [columns, rows] : [rows, columns];
  const n = transposeB ? b.shape[1] : b.shape[2];
  return dense([batch, m, n], (i) => {
    const at = Math.floor(i / (m * n));
    const row = Math.floor(i / n) % m;
    const column = i % n;
    const baseA = at * m * k;
    const baseB = b.shape[0] === 1 ? 0 : at * k * n;
    let sum = 0;
    for (let j = 0; j < k; j++) {
      const left = a.data[baseA + (transposeA ? j * m + row : row * k + j)];
      const right =
        b.data[baseB + (transposeB ? column * k + j : j * n + column)];
      sum += left * right;
    }
    return sum;
  });
}

/** A (B, H, W, C) tensor upsampled to a size by repeating pixels. */
export function nearest(x: Dense, height: number, width: number): Dense {
  const [batch, h, w, channels] = x.shape;
  return dense([batch, height, width, channels], (i) => {
    const c = i % channels;
    const ox = Math.floor(i / channels) % width;
    const oy = Math.floor(i / channels / width) % height;
    const b = Math.floor(i / channels / width / height);
    const y = Math.floor(oy * h / height);
    const at = Math.floor(ox * w / width);
    return x.data[((b * h + y) * w + at) * channels + c];
  });
}

/** What {@linkcode conv2d} takes beside its tensors. */
export interface Window {
  readonly stride?: number;
  /** [top, right, bottom, left] */
  readonly padding?: readonly [number, number, number, number];
  readonly activation?: Activation;
}

/** x (B, H, W, I), weight (O, KH, KW, I), channelBias (B, O). */
export function conv2d(
  { x, weight, bias, channelBias, residual }: {
    x: Dense;
    weight: Dense;
    bias?: Dense;
    channelBias?: Dense;
    residual?: Dense;
  },
  { stride = 1, padding = [0, 0, 0, 0], activation }: Window,
): Dense {
  const [batch, height, width, channels] = x.shape;
  const [out, kernelHeight, kernelWidth] = weight.shape;
  const [top, right, bottom, left] = padding;
  const [image, taps] = [x.data, weight.data];
  const rows = Math.floor((height + top + bottom - kernelHeight) / stride) + 1;
  const columns = Math.floor((width + left + right - kernelWidth) / stride) + 1;
  return computed([batch, rows, columns, out], (i) => {
    const o = i % out;
    const ox = Math.floor(i / out) % columns;
    const oy = Math.floor(i / out / columns) % rows;
    const b = Math.floor(i / out / columns / rows);
    let sum = (bias?.data[o] ?? 0) + (channelBias?.data[b * out + o] ?? 0) +
      (residual?.data[i] ?? 0);
    for (let ky = 0; ky < kernelHeight; ky++) {
      const iy = oy * stride + ky - top;
      if (iy < 0 || iy >= height) continue;
      for (let kx = 0; kx < kernelWidth; kx++) {
        const ix = ox * stride + kx - left;
        if (ix < 0 || ix >= width) continue;
        const from = ((b * height + iy) * width + ix) * channels;
        const tap = ((o * kernelHeight + ky) * kernelWidth + kx) * channels;
        for (let c = 0; c < channels; c++) {
          sum += image[from + c] * taps[tap + c];
        }
      }
    }
    return activate(activation, sum);
  });
}

/** What {@linkcode attention} takes beside its tensors. */
export interface Attend {
  readonly heads: number;
  /** Keys before the identity's. */
  readonly textKeys?: number;
  readonly causal?: boolean;
}

/** q (B, T, H·D), k and v (B, S, H·D): text and identity apart, then added. */
export function attention(
  { q, k, v, identityScale }: {
    q: Dense;
    k: Dense;
    v: Dense;
    identityScale?: Dense;
  },
  { heads, textKeys = k.shape[1], causal = false }: Attend,
): Dense {
  const [, queries, channels] = q.shape;
  const keys = k.shape[1];
  const width = channels / heads;
  const parts: [number, number, number][] = [[0, textKeys, 1]];
  if (identityScale) parts.push([textKeys, keys, identityScale.data[0]]);
  const [queryData, keyData, valueData] = [q.data, k.data, v.data];
  /** The shares of a part's keys in what a head's query gets. */
  const sharesOf = (query: number, [start, end]: readonly number[]) => {
    const head = query % heads;
    const t = Math.floor(query / heads) % queries;
    const b = Math.floor(query / heads / queries);
    const last = causal ? Math.min(end, t + 1) : end;
    const scores: number[] = [];
    for (let s = start; s < last; s++) {
      const from = (b * keys + s) * channels + head * width;
      let sum = 0;
      for (let d = 0; d < width; d++) {
        sum += queryData[query * width + d] * keyData[from + d];
      }
      scores.push(sum / Math.sqrt(width));
    }
    return softmaxRow(scores);
  };
  // A query's channels come one after the other.
  const known = { query: -1, shares: [] as number[][] };
  return computed(q.shape, (i) => {
    const query = Math.floor(i / width);
    if (known.query !== query) {
      known.query = query;
      known.shares = parts.map((part) => sharesOf(query, part));
    }
    const b = Math.floor(i / channels / queries);
    const first = b * keys * channels + i % channels;
    let sum = 0;
    parts.forEach(([start, , weight], part) => {
      const shares = known.shares[part];
      for (let s = 0; s < shares.length; s++) {
        sum += weight * shares[s] * valueData[first + (start + s) * channels];
      }
    });
    return sum;
  });
}

function softmaxRow(row: ArrayLike<number>): number[] {
  const values = Array.from(row);
  const top = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - top));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Over the last axis. */
export function softmax(x: Dense): Dense {
  const columns = x.shape.at(-1)!;
  const y = dense(x.shape);
  for (let i = 0; i < x.data.length; i += columns) {
    y.data.set(softmaxRow(x.data.subarray(i, i + columns)), i);
  }
  return y;
}

/** Mean and 1 / √(variance + eps) of the elements at some places. */
function moments(data: Float64Array, places: readonly number[], eps: number) {
  const mean = places.reduce((sum, i) => sum + data[i], 0) / places.length;
  const variance = places.reduce((sum, i) => sum + (data[i] - mean) ** 2, 0) /
    places.length;
  return { mean, scale: 1 / Math.sqrt(variance + eps) };
}

/** Calls a function once for each number. */
function once<T>(compute: (key: number) => T): (key: number) => T {
  const known = new Map<number, T>();
  return (key) => {
    if (!known.has(key)) known.set(key, compute(key));
    return known.get(key)!;
  };
}

/** Over the last axis. */
export function layerNorm(
  { x, weight, bias }: { x: Dense; weight: Dense; bias: Dense },
  eps: number,
): Dense {
  const channels = x.shape.at(-1)!;
  const row = once((row) => {
    const places = Array.from(
      { length: channels },
      (_, c) => row * channels + c,
    );
    return moments(x.data, places, eps);
  });
  return computed(x.shape, (i) => {
    const c = i % channels;
    const { mean, scale } = row(Math.floor(i / channels));
    return (x.data[i] - mean) * scale * weight.data[c] + bias.data[c];
  });
}

/** x (B, …, C): statistics over all pixels of a group's channels. */
export function groupNorm(
  { x, weight, bias }: { x: Dense; weight: Dense; bias: Dense },
  { groups, eps, activation }: {
    groups: number;
    eps: number;
    activation?: Activation;
  },
): Dense {
  const batch = x.shape[0];
  const channels = x.shape.at(-1)!;
  const size = x.data.length / batch;
  const wide = channels / groups;
  const group = once((group) => {
    const first = Math.floor(group / groups) * size + group % groups * wide;
    const places: number[] = [];
    for (let pixel = 0; pixel < size; pixel += channels) {
      for (let c = 0; c < wide; c++) places.push(first + pixel + c);
    }
    return moments(x.data, places, eps);
  });
  return computed(x.shape, (i) => {
    const c = i % channels;
    const { mean, scale } = group(
      Math.floor(i / size) * groups + Math.floor(c / wide),
    );
    const value = (x.data[i] - mean) * scale * weight.data[c] + bias.data[c];
    return activate(activation, value);
  });
}

/** a ∘ b with PyTorch's broadcasting. */
export function binary(
  { a, b }: { a: Dense; b: Dense },
  operation: (a: number, b: number) => number,
): Dense {
  const rank = Math.max(a.shape.length, b.shape.length);
  const padded = ({ shape }: Dense) => [
    ...Array(rank - shape.length).fill(1),
    ...shape,
  ];
  const [left, right] = [padded(a), padded(b)];
  const shape = left.map((n, i) => Math.max(n, right[i]));
  const pick = (from: number[], index: number[]) =>
    index.reduce(
      (at, i, axis) => at * from[axis] + (from[axis] > 1 ? i : 0),
      0,
    );
  return dense(shape, (i) => {
    const index: number[] = [];
    for (let axis = rank - 1, rest = i; axis >= 0; axis--) {
      index[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return operation(a.data[pick(left, index)], b.data[pick(right, index)]);
  });
}

/** x (…, 2N): the first half times the GELU of the second. */
export function geglu(x: Dense): Dense {
  const n = x.shape.at(-1)! / 2;
  return dense([...x.shape.slice(0, -1), n], (i) => {
    const row = Math.floor(i / n) * 2 * n;
    return x.data[row + i % n] * gelu(x.data[row + n + i % n]);
  });
}

/** Elements picked by strides. */
export function view(
  x: Dense,
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): Dense {
  return dense(shape, (i) => {
    let at = offset;
    for (let axis = shape.length - 1, rest = i; axis >= 0; axis--) {
      at += (rest % shape[axis]) * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return x.data[at];
  });
}

/** Joins along an axis. */
export function concat({ a, b }: { a: Dense; b: Dense }, axis: number): Dense {
  const inner = (x: Dense) =>
    x.shape.slice(axis).reduce((product, n) => product * n, 1);
  const [n, m] = [inner(a), inner(b)];
  const shape = a.shape.map((length, i) =>
    i === axis ? length + b.shape[i] : length
  );
  return dense(shape, (i) => {
    const row = Math.floor(i / (n + m));
    const at = i % (n + m);
    return at < n ? a.data[row * n + at] : b.data[row * m + at - n];
  });
}

/** Maximum or mean of windows; padding counts as −∞ or as zero. */
export function pool2d(
  x: Dense,
  { mode, kernel, stride = 1, padding = 0 }: {
    mode: "max" | "mean";
    kernel: readonly [number, number];
    stride?: number;
    padding?: number;
  },
): Dense {
  const [batch, h, w, channels] = x.shape;
  const rows = Math.floor((h + 2 * padding - kernel[0]) / stride) + 1;
  const columns = Math.floor((w + 2 * padding - kernel[1]) / stride) + 1;
  return dense([batch, rows, columns, channels], (i) => {
    const c = i % channels;
    const ox = Math.floor(i / channels) % columns;
    const oy = Math.floor(i / channels / columns) % rows;
    const b = Math.floor(i / channels / columns / rows);
    let most = -Infinity;
    let sum = 0;
    for (let ky = 0; ky < kernel[0]; ky++) {
      for (let kx = 0; kx < kernel[1]; kx++) {
        const iy = oy * stride + ky - padding;
        const ix = ox * stride + kx - padding;
        if (iy < 0 || ix < 0 || iy >= h || ix >= w) continue;
        const value = x.data[((b * h + iy) * w + ix) * channels + c];
        most = Math.max(most, value);
        sum += value;
      }
    }
    return mode === "max" ? most : sum / (kernel[0] * kernel[1]);
  });
}

/** Rows of a table by id, and of positions by place. */
export function embedding(
  { ids, table, positions }: { ids: Dense; table: Dense; positions?: Dense },
): Dense {
  const channels = table.shape[1];
  const tokens = ids.shape[1];
  return dense([...ids.shape, channels], (i) => {
    const c = i % channels;
    const token = Math.floor(i / channels);
    return table.data[ids.data[token] * channels + c] +
      (positions?.data[(token % tokens) * channels + c] ?? 0);
  });
}

/** (B) and (N) to (B, 2N): cosines, then sines. */
export function timeEmbedding(
  { t, frequencies }: { t: Dense; frequencies: Dense },
): Dense {
  const n = frequencies.shape[0];
  return dense([t.shape[0], 2 * n], (i) => {
    const column = i % (2 * n);
    // The shader's product is one of f32 numbers.
    const angle = Math.fround(
      t.data[Math.floor(i / (2 * n))] * frequencies.data[column % n],
    );
    return column < n ? Math.cos(angle) : Math.sin(angle);
  });
}

/** (2B, …) to (B, …): unconditional + scale · (conditional − unconditional). */
export function guidance({ x, scale }: { x: Dense; scale: Dense }): Dense {
  const half = x.data.length / 2;
  return dense([x.shape[0] / 2, ...x.shape.slice(1)], (i) => {
    const uncond = x.data[half + i];
    return uncond + scale.data[0] * (x.data[i] - uncond);
  });
}

/** sums and weights (R, T), shares (R, R): weights by the ratio of the means without and with them. */
export function emphasis(
  { sums, weights, shares }: { sums: Dense; weights: Dense; shares: Dense },
): Dense {
  const [rows, tokens] = sums.shape;
  return dense([rows, tokens, 1], (i) => {
    const row = Math.floor(i / tokens);
    let before = 0;
    let after = 0;
    for (let at = 0; at < rows * tokens; at++) {
      const share = shares.data[row * rows + Math.floor(at / tokens)];
      before += share * sums.data[at];
      after += share * weights.data[at] * sums.data[at];
    }
    return weights.data[i] * before / after;
  });
}

/** The index of the largest of the last axis, the first of equals; none (N) where one is not finite. */
export function argmax(x: Dense): Dense {
  const n = x.shape.at(-1)!;
  return dense(x.shape.slice(0, -1), (i) => {
    const row = [...x.data.subarray(i * n, i * n + n)];
    return row.every(Number.isFinite) ? row.indexOf(Math.max(...row)) : n;
  });
}

/** −1..1 to opaque RGBA bytes in one u32 a pixel, rounded half to even. */
export function imageOutput(x: Dense): Dense {
  const byte = (value: number) => {
    const scaled = Math.fround(
      Math.fround(
        Math.min(Math.max(Math.fround(Math.fround(value / 2) + 0.5), 0), 1),
      ) * 255,
    );
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
    return floor + Number(up);
  };
  return dense(x.shape.slice(0, -1), (i) => {
    const [r, g, b] = x.data.subarray(3 * i, 3 * i + 3);
    return (255 * 2 ** 24) + (byte(b) * 2 ** 16) + (byte(g) * 2 ** 8) +
      byte(r);
  });
}
