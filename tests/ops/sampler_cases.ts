/**
 * Cases of the ops of a sampler's step and of guidance.
 *
 * @module
 */
import { linearStep, matrixSize } from "../../src/ops/linear_step.ts";
import { rescaledGuidance } from "../../src/ops/rescaled_guidance.ts";
import type { OpCase, Values } from "./op_case.ts";
import { type Dense, dense, guidance } from "./reference.ts";

/** The rows of y = M x that make latents (row 0) or history (the others). */
function linearRows(
  { latents, modelOutput, noise, history, coefficients }: Values,
  first: number,
  rows: number,
): Dense {
  const n = latents.data.length;
  const slots = history.shape[0];
  const shape = first === 0 ? latents.shape : history.shape;
  return dense(shape, (at) => {
    const row = first + Math.floor(at / n);
    const i = at % n;
    const x = [
      latents.data[i],
      modelOutput.data[i],
      noise?.data[i] ?? 0,
      ...Array.from({ length: slots }, (_, k) => history.data[k * n + i]),
    ];
    if (row >= first + rows) throw new RangeError(`No row ${row}`);
    return x.reduce(
      (sum, value, column) =>
        sum + coefficients.data[row * x.length + column] * value,
      0,
    );
  });
}

function linearCase(
  name: string,
  slots: number,
  hasNoise: boolean,
  output: "output" | "history",
  more = 0,
): OpCase {
  const shape = [2, 3, 5, 4];
  return {
    name,
    op: linearStep,
    attributes: {},
    inputs: {
      latents: { shape, dtype: "f32" },
      modelOutput: { shape, dtype: "f32" },
      ...hasNoise && { noise: { shape, dtype: "f32" as const } },
      history: { shape: [slots, ...shape], dtype: "f32" },
      coefficients: { shape: [matrixSize(slots) + more], dtype: "f32" },
    },
    output,
    reference: (inputs) =>
      output === "output"
        ? linearRows(inputs, 0, 1)
        : linearRows(inputs, 1, slots),
  };
}

/** Guidance in f64, then `rescale_noise_cfg`. */
function rescaled({ x, scale, rescale }: Values): Dense {
  const guided = guidance({ x, scale });
  const images = guided.shape[0];
  const length = guided.data.length / images;
  const std = (values: ArrayLike<number>, image: number) => {
    const own = Array.from(
      { length },
      (_, i) => values[image * length + i],
    );
    const mean = own.reduce((a, b) => a + b, 0) / length;
    const squares = own.reduce((sum, v) => sum + (v - mean) ** 2, 0);
    return Math.sqrt(squares / (length - 1));
  };
  const [share] = rescale.data;
  return dense(guided.shape, (i) => {
    const image = Math.floor(i / length);
    const ratio = std(x.data, image) / std(guided.data, image);
    return guided.data[i] * (share * ratio + 1 - share);
  });
}

function rescaleCase(
  name: string,
  shape: readonly number[],
  rescale: number,
): OpCase {
  return {
    name,
    op: rescaledGuidance,
    attributes: {},
    inputs: {
      x: { shape },
      scale: { shape: [1], dtype: "f32", value: () => 7.5 },
      rescale: { shape: [1], dtype: "f32", value: () => rescale },
    },
    reference: rescaled,
  };
}

/** Every case of them. */
export const samplerCases: readonly OpCase[] = [
  linearCase("latents, one history tensor", 1, false, "output"),
  linearCase("history of one, noise", 1, true, "history"),
  linearCase("latents, four history tensors, more after", 4, true, "output", 1),
  linearCase("history of four", 4, false, "history"),
  rescaleCase("two images", [4, 3, 5, 4], 0.75),
  rescaleCase("more than a workgroup's elements", [2, 16, 12, 4], 1),
];
