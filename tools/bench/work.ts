/**
 * The ops that are timed: what each is applied to, told apart from how any
 * engine computes it, so that others can be timed on the same.
 *
 * @module
 */
import { elementCount } from "../../src/ops/op.ts";

/** A product: a linear layer is a convolution of one pixel, 1×1. */
export interface Product {
  /** (rows, k) · (n, k)ᵀ; or a window of kernel × kernel, zeros around. */
  readonly kind: "linear" | "conv";
  /** Images; rows of a linear layer. */
  readonly batch: number;
  /** Rows and columns of an image. */
  readonly side: number;
  /** Channels in. */
  readonly channels: number;
  /** Channels out. */
  readonly out: number;
  /** Rows and columns of the window. */
  readonly kernel: number;
}

/** softmax(q · kᵀ / √width) · v of each head, apart. */
export interface Attention {
  /** What it is. */
  readonly kind: "attention";
  /** Images. */
  readonly batch: number;
  /** Tokens that attend. */
  readonly queries: number;
  /** Tokens that are attended to. */
  readonly keys: number;
  /** Heads. */
  readonly heads: number;
  /** Channels of a head. */
  readonly width: number;
}

/** A norm: of a layer norm's rows each is an image of one pixel and one group. */
export interface Norm {
  /** What it is. */
  readonly kind: "group norm + SiLU" | "layer norm";
  /** Images; rows of a layer norm. */
  readonly batch: number;
  /** Rows and columns of an image. */
  readonly side: number;
  /** Channels. */
  readonly channels: number;
  /** Groups of channels that are normed apart. */
  readonly groups: number;
}

/** An op and its sizes; images are channels last. */
export type Work = Product | Attention | Norm;

/** What is timed. */
export interface WorkRow {
  /** Which network has it, and what it is. */
  readonly name: string;
  /** What is computed. */
  readonly work: Work;
  /**
   * What oneDNN reaches on two quiet cores, as published in the project's plan
   * for speed: GFLOP/s in f32, or GB/s of a norm.
   */
  readonly oneDnn?: number;
}

/** An input of an op. */
export interface WorkInput {
  /** What it is called. */
  readonly name: string;
  /** Its shape, channels last. */
  readonly shape: readonly number[];
  /** Standard deviation of its values. */
  readonly scale: number;
  /** Whether a model file holds it. */
  readonly weight: boolean;
}

/** Added to variances by every norm that is timed. */
export const EPS = 1e-5;

/** A linear layer. */
export function dense(rows: number, k: number, n: number): Product {
  const one = { side: 1, kernel: 1 };
  return { kind: "linear", batch: rows, channels: k, out: n, ...one };
}

/** A convolution of one image. */
export function conv(
  side: number,
  channels: number,
  out: number,
  kernel = 3,
): Product {
  return { kind: "conv", batch: 1, side, channels, out, kernel };
}

/** An attention of one image. */
export function attend(
  queries: number,
  keys: number,
  heads: number,
  width: number,
): Attention {
  return { kind: "attention", batch: 1, queries, keys, heads, width };
}

/** A group norm of one image, with SiLU. */
export function norm(side: number, channels: number, groups: number): Norm {
  return { kind: "group norm + SiLU", batch: 1, side, channels, groups };
}

/** A layer norm. */
export function layerNorm(rows: number, channels: number): Norm {
  return { kind: "layer norm", batch: rows, side: 1, channels, groups: 1 };
}

/** The shapes that take most of SD1.5's time at 512×512, and the mini model's. */
export const WORKS: readonly WorkRow[] = [
  { name: "linear 1024³", work: dense(1024, 1024, 1024), oneDnn: 184 },
  { name: "SD1.5 conv", work: conv(64, 320, 320), oneDnn: 189 },
  { name: "SD1.5 conv", work: conv(16, 1280, 1280), oneDnn: 193 },
  { name: "SD1.5 VAE conv", work: conv(256, 128, 128), oneDnn: 182 },
  {
    name: "SD1.5 self-attention",
    work: attend(4096, 4096, 8, 40),
    oneDnn: 131,
  },
  { name: "SD1.5 text attention", work: attend(4096, 77, 8, 40), oneDnn: 97 },
  { name: "SD1.5 group norm + SiLU", work: norm(64, 320, 32), oneDnn: 12 },
  { name: "SD1.5 layer norm", work: layerNorm(4096, 320) },
  { name: "SD1.5 linear", work: dense(4096, 320, 1280) },
  { name: "SD1.5 linear", work: dense(256, 1280, 1280) },
  { name: "mini UNet conv", work: conv(32, 48, 48) },
  { name: "mini UNet conv", work: conv(32, 96, 48) },
  { name: "mini UNet conv", work: conv(16, 96, 96) },
  { name: "mini UNet conv", work: conv(8, 256, 128) },
  { name: "mini VAE conv", work: conv(128, 24, 24) },
  { name: "mini VAE conv", work: conv(64, 48, 48) },
  { name: "mini UNet linear", work: dense(512, 96, 768) },
  { name: "mini UNet self-attention", work: attend(256, 256, 4, 24) },
  { name: "mini UNet text attention", work: attend(256, 125, 4, 24) },
  { name: "mini UNet group norm + SiLU", work: norm(32, 48, 16) },
];

/** A row for so many images at once. */
export function batched(row: WorkRow, batch: number): WorkRow {
  const { work } = row;
  return { ...row, work: { ...work, batch: batch * work.batch } };
}

/** What an op is given, in order. */
export function inputsOf(work: Work): WorkInput[] {
  const input = (name: string, ...shape: number[]) =>
    ({ name, shape, scale: 1, weight: false }) as const;
  const weight = (name: string, terms: number, ...shape: number[]) =>
    ({ name, shape, scale: 1 / Math.sqrt(terms), weight: true }) as const;
  const { batch } = work;
  switch (work.kind) {
    case "linear": {
      const { channels, out } = work;
      return [
        input("x", batch, channels),
        weight("weight", channels, out, channels),
      ];
    }
    case "conv": {
      const { side, channels, out, kernel } = work;
      const terms = kernel * kernel * channels;
      return [
        input("x", batch, side, side, channels),
        weight("weight", terms, out, kernel, kernel, channels),
      ];
    }
    case "attention": {
      const { queries, keys, heads, width } = work;
      return [
        input("q", batch, queries, heads * width),
        input("k", batch, keys, heads * width),
        input("v", batch, keys, heads * width),
      ];
    }
    default: {
      const { channels } = work;
      return [
        input("x", ...outputOf(work)),
        weight("weight", 1, channels),
        weight("bias", 1, channels),
      ];
    }
  }
}

/** Shape of an op's result, channels last. */
export function outputOf(work: Work): number[] {
  switch (work.kind) {
    case "linear":
      return [work.batch, work.out];
    case "conv":
      return [work.batch, work.side, work.side, work.out];
    case "attention":
      return [work.batch, work.queries, work.heads * work.width];
    case "group norm + SiLU":
      return [work.batch, work.side, work.side, work.channels];
    case "layer norm":
      return [work.batch, work.channels];
  }
}

/** Floating-point operations of an op; none are counted of a norm. */
export function flopsOf(work: Work): number {
  switch (work.kind) {
    case "linear":
    case "conv":
      return 2 * elementCount(outputOf(work)) * work.kernel ** 2 *
        work.channels;
    case "attention":
      return 4 * elementCount(outputOf(work)) * work.keys;
    default:
      return 0;
  }
}

/** Bytes an op must move at least: every input read once, the result written. */
export function bytesOf(work: Work, elementBytes: number): number {
  const shapes = [...inputsOf(work).map(({ shape }) => shape), outputOf(work)];
  return elementBytes *
    shapes.reduce((sum, shape) => sum + elementCount(shape), 0);
}

/** An op's sizes for a person, such as `64×64 320→320, 3×3`. */
export function describeWork(work: Work): string {
  const times = work.batch > 1 ? `${work.batch} × ` : "";
  switch (work.kind) {
    case "linear":
      return `${work.batch}×${work.channels}→${work.out}`;
    case "conv":
      return `${times}${work.side}×${work.side} ${work.channels}→${work.out}, ` +
        `${work.kernel}×${work.kernel}`;
    case "attention":
      return `${times}${work.queries}×${work.keys}, ${work.heads} heads of ${work.width}`;
    case "group norm + SiLU":
      return `${times}${work.side}×${work.side} ${work.channels}, ${work.groups} groups`;
    case "layer norm":
      return `${work.batch}×${work.channels}`;
  }
}
