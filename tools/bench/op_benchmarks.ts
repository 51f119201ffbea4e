/**
 * The ops that are timed: cases as the tests of the ops have them, at the sizes
 * of networks; their values, and what must come out.
 *
 * @module
 */
import { UsageError } from "../../src/host/exit.ts";
import { elementCount } from "../../src/ops/op.ts";
import { convCase, groupNormCase } from "../../tests/ops/image_cases.ts";
import { attentionCase, linearCase } from "../../tests/ops/matrix_cases.ts";
import { normal, type OpCase } from "../../tests/ops/op_case.ts";
import { layerNormCase } from "../../tests/ops/other_cases.ts";
import { nmse } from "../compare/measures.ts";
import { generator } from "../random_checkpoint/distributions.ts";

/** An op to be timed; images are channels last. Its name says whose it is. */
export interface OpBenchmark extends OpCase {
  /**
   * What oneDNN reaches on two quiet cores, as published in the project's plan
   * for speed: GFLOP/s in f32, or GB/s of a norm.
   */
  readonly oneDnn?: number;
}

/** Values of an op by its inputs' names. */
export type OpValues = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

/** Added to variances by every norm that is timed. */
export const EPS = 1e-5;

const plain = { bias: false };
const conv3 = { bias: false, padding: [1, 1, 1, 1] } as const;
const silu = { activation: "silu", eps: EPS } as const;

/** The shapes that take most of SD1.5's time at 512×512, and the mini model's; n images at once. */
const casesOf = (n: number): readonly (readonly [OpCase, number?])[] => [
  [linearCase("linear 1024³", [n * 1024], 1024, 1024, plain), 184],
  [convCase("SD1.5 conv", [n, 64, 64, 320], [320, 3, 3], conv3), 189],
  [convCase("SD1.5 conv", [n, 16, 16, 1280], [1280, 3, 3], conv3), 193],
  [convCase("SD1.5 VAE conv", [n, 256, 256, 128], [128, 3, 3], conv3), 182],
  [attentionCase("SD1.5 self-attention", [n, 4096, 4096, 8, 40]), 131],
  [attentionCase("SD1.5 text attention", [n, 4096, 77, 8, 40]), 97],
  [groupNormCase("SD1.5 group norm + SiLU", [n, 64, 64, 320], 32, silu), 12],
  [layerNormCase("SD1.5 layer norm", normal([n * 4096, 320]), EPS)],
  [linearCase("SD1.5 linear", [n * 4096], 320, 1280, plain)],
  [linearCase("SD1.5 linear", [n * 256], 1280, 1280, plain)],
  [convCase("mini UNet conv", [n, 32, 32, 48], [48, 3, 3], conv3)],
  [convCase("mini UNet conv", [n, 32, 32, 96], [48, 3, 3], conv3)],
  [convCase("mini UNet conv", [n, 16, 16, 96], [96, 3, 3], conv3)],
  [convCase("mini UNet conv", [n, 8, 8, 256], [128, 3, 3], conv3)],
  [convCase("mini VAE conv", [n, 128, 128, 24], [24, 3, 3], conv3)],
  [convCase("mini VAE conv", [n, 64, 64, 48], [48, 3, 3], conv3)],
  [linearCase("mini UNet linear", [n * 512], 96, 768, plain)],
  [attentionCase("mini UNet self-attention", [n, 256, 256, 4, 24])],
  [attentionCase("mini UNet text attention", [n, 256, 125, 4, 24])],
  [groupNormCase("mini UNet group norm + SiLU", [n, 32, 32, 48], 16, silu)],
];

/**
 * The ops whose name or sizes contain a text, for N images at once.
 *
 * @throws {UsageError} where there are none
 */
export function chooseBenchmarks(
  { only = "", batch = 1 }: { only?: string; batch?: number } = {},
): OpBenchmark[] {
  const benchmarks = casesOf(batch).map(([benchmark, oneDnn]) => ({
    ...benchmark,
    oneDnn,
  }));
  const chosen = benchmarks
    .filter((benchmark) =>
      `${benchmark.name} ${describeSizes(benchmark)}`.includes(only)
    );
  if (chosen.length > 0) return chosen;
  const names = [...new Set(benchmarks.map(({ name }) => name))].join(", ");
  throw new UsageError(
    `--only ${only} is in no row's name or sizes, expected a part of: ${names}`,
  );
}

/** An op's sizes for a person, such as `64×64 320→320, 3×3`. */
export function describeSizes({ op, inputs, attributes }: OpBenchmark): string {
  const [first, second] = Object.values(inputs).map(({ shape }) => shape);
  const [batch, rows, columns, channels] = first;
  const times = batch > 1 ? `${batch} × ` : "";
  const { heads, groups } = attributes as Record<string, number>;
  switch (op.name) {
    case "linear":
      return `${batch}×${second[1]}→${second[0]}`;
    case "conv2d":
      return `${times}${rows}×${columns} ${channels}→${second[0]}, ` +
        `${second[1]}×${second[2]}`;
    case "attention":
      return `${times}${rows}×${second[1]}, ${heads} heads of ${
        columns / heads
      }`;
    case "group_norm":
      return `${times}${rows}×${columns} ${channels}, ${groups} groups`;
    default:
      return first.join("×");
  }
}

/** Numbers in [0, 1). */
const uniform = (seed: number) => generator(Math.imul(seed, 0x9e3779b1));

/** Values of each input, uniform; the same on every run. */
export function makeValues({ inputs }: OpBenchmark): OpValues {
  const values = Object.entries(inputs).map(
    ([name, { shape, scale = 1 }], i) => {
      const next = uniform(i + 1);
      // So wide that the variance is scale².
      const width = 2 * Math.sqrt(3) * scale;
      const length = elementCount(shape);
      const value = () => (next() - 0.5) * width;
      return [name, Float32Array.from({ length }, value)] as const;
    },
  );
  return Object.fromEntries(values);
}

/** As f16 stores them. */
export function halved(values: OpValues): OpValues {
  return Object.fromEntries(
    Object.entries(values).map(([name, data]) =>
      [name, new Float32Array(new Float16Array(data))] as const
    ),
  );
}

/** Elements that are compared. */
const SAMPLE = 256;

/**
 * Computes a sample of an op's result in f64, spread over all of it.
 *
 * @param values as they are stored
 * @returns NMSE of that sample of a result, Σ(a−b)² / Σb²
 */
export function checkerOf(
  { inputs, reference }: OpBenchmark,
  values: OpValues,
): (result: ArrayLike<number>) => number {
  const given = Object.entries(inputs).map(([name, { shape }]) =>
    [name, { shape, data: Float64Array.from(values[name]) }] as const
  );
  const right = reference(Object.fromEntries(given));
  const total = elementCount(right.shape);
  const next = uniform(99);
  const indices = total <= SAMPLE
    ? [...Array(total).keys()]
    : Array.from({ length: SAMPLE }, () => Math.floor(next() * total))
      .with(0, 0).with(-1, total - 1);
  const expected = indices.map((i) => right.at?.(i) ?? right.data[i]);
  return (result) => nmse(indices.map((index) => result[index]), expected);
}
