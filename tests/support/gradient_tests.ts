/**
 * The gradient of every op that has one against finite differences: the cases of
 * the ops, y = op(inputs), are made into losses Σ dy · y with random dy, whose
 * gradients by reverse mode are compared with central differences of the case's
 * loops in f64.
 *
 * A difference has two errors: that of third order, which a step of 1e-5 of an
 * input's spread makes about 1e-10 of the slope, and that of the f64 sums, about
 * 1e-16 of the loss divided by the step, 1e-11. So the NMSE of 1e-8 that is allowed in
 * f32, a relative error of 1e-4, tests the gradients and not the differences.
 *
 * In f16 storage every tensor on the way is rounded to 11 bits, an NMSE of 8e-8 each;
 * a rule stores at most some ten of them one after another, and an activation's slope
 * is taken where the rounded sum is.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { StorageType } from "../../src/gpu/gpu.ts";
import type { AnyOp } from "../../src/graph/graph.ts";
import { conv2d } from "../../src/ops/conv2d/conv2d.ts";
import { linear } from "../../src/ops/linear/linear.ts";
import { elementCount, isFloat } from "../../src/ops/op.ts";
import { rules } from "../../src/train/gradients/rules.ts";
import { opCases } from "../ops/all_cases.ts";
import { makeInput, normal, type OpCase } from "../ops/op_case.ts";
import type { Dense } from "../ops/reference.ts";
import { gpuTest } from "./gpu.ts";
import { gradientGraph, kernelNames, runGraph } from "./gradient_graph.ts";
import {
  floatWeight,
  type StoredInputs,
  storeInputs,
} from "./stored_inputs.ts";

/** Most NMSE. */
export const GRADIENT_TOLERANCE: Readonly<Record<StorageType, number>> = {
  f32: 1e-8,
  f16: 1e-5,
};

/** Elements of each input, and directions through all of them, along which the loss is differentiated. */
const ELEMENTS = 12;
const DIRECTIONS = 3;
/** Of an input's spread. */
const STEP = 1e-5;
/**
 * Slopes below this count as of this size: losses are sums of numbers around 1, whose
 * rounding remains where they cancel out, as in a softmax of one large score.
 */
const LEAST_SLOPE: Readonly<Record<StorageType, number>> = {
  f32: 1e-3,
  f16: 0.1,
};
/** Multiplications of the largest case: its loops run some 100 times. */
const MOST_WORK = 2e6;

/** How the weight of a linear layer or convolution is held. */
type WeightForm = "input" | "trainable" | "frozen";

/** A direction in the space of an input, and how steep the loss is along it. */
interface Slope {
  /** Index and share of each element that moves. */
  readonly direction: readonly (readonly [number, number])[];
  readonly slope: number;
}

/** Slopes by input: along single elements, and along directions through all of them. */
type Slopes = Readonly<
  Record<
    string,
    {
      readonly elements: readonly Slope[];
      readonly directions: readonly Slope[];
    }
  >
>;

/** The inputs by which a case is differentiated: not ids, quantised weights, or the identity's scale. */
function differentiable(
  { inputs }: OpCase,
  refs: StoredInputs["refs"],
): string[] {
  return Object.keys(inputs).filter((name) =>
    inputs[name].dtype !== "u32" && !(name in refs) && name !== "identityScale"
  );
}

function isWeight(op: AnyOp, name: string): boolean {
  return name === "weight" && (op === linear || op === conv2d);
}

function spread({ data }: Dense): number {
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
  const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) /
    data.length;
  return Math.sqrt(variance) || 1;
}

/** Central differences of Σ dy · reference by the named inputs. */
function slopesOf(
  { reference }: OpCase,
  values: StoredInputs["values"],
  dy: Dense,
  names: readonly string[],
): Slopes {
  const loss = (name: string, moved: Float64Array) => {
    const input = { shape: values[name].shape, data: moved };
    const { data } = reference({ ...values, [name]: input });
    return data.reduce((sum, y, i) => sum + y * dy.data[i], 0);
  };
  return Object.fromEntries(names.map((name) => {
    const { data } = values[name];
    const step = STEP * spread(values[name]);
    const along = (direction: Slope["direction"]): Slope => {
      const [up, down] = [1, -1].map((sign) => {
        const moved = Float64Array.from(data);
        for (const [i, share] of direction) moved[i] += sign * step * share;
        return loss(name, moved);
      });
      return { direction, slope: (up - down) / (2 * step) };
    };
    const count = Math.min(ELEMENTS, data.length);
    // Spread over all elements, at both ends too.
    const places = Array.from(
      { length: count },
      (_, i) => Math.round(i * (data.length - 1) / Math.max(1, count - 1)),
    );
    const directions = Array.from(
      { length: DIRECTIONS },
      (_, i) => [...makeInput(normal([data.length]), 500 + i).data.entries()],
    );
    return [name, {
      elements: places.map((i) => along([[i, 1]])),
      directions: directions.map(along),
    }];
  }));
}

/**
 * NMSE of a gradient's slopes.
 *
 * @param least mean square that the slopes count as having at least
 */
function slopeError(
  gradient: ArrayLike<number>,
  slopes: readonly Slope[],
  least: number,
): number {
  const found = slopes.map(({ direction }) =>
    direction.reduce((sum, [i, share]) => sum + share * gradient[i], 0)
  );
  const difference = slopes
    .map(({ slope }, i) => (found[i] - slope) ** 2)
    .reduce((sum, square) => sum + square);
  return difference / slopes.length / Math.max(meanSquare(slopes), least);
}

function meanSquare(slopes: readonly Slope[]): number {
  return slopes.reduce((sum, { slope }) => sum + slope ** 2, 0) / slopes.length;
}

/** NMSE of a gradient along single elements, and along directions through all of them. */
function slopeErrors(
  gradient: ArrayLike<number>,
  { elements, directions }: Slopes[string],
  storage: StorageType,
): { readonly elements: number; readonly directions: number } {
  const least = LEAST_SLOPE[storage] ** 2;
  // Along normal random directions the mean square is the sum of all elements' squares.
  const all = meanSquare(directions) / gradient.length;
  return {
    elements: slopeError(gradient, elements, Math.max(all, least)),
    directions: slopeError(gradient, directions, least),
  };
}

/** Whether a case's loops take long. */
function isLarge({ op, inputs, attributes }: OpCase): boolean {
  const specs = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, dtype = "f32" }]) => [
      name,
      { shape, dtype },
    ]),
  );
  const outputs = op.outputs(specs, attributes, "f32");
  const flops: number = op.flops?.({ inputs: specs, outputs, attributes }) ?? 0;
  const elements = [...Object.values(specs), ...Object.values(outputs)]
    .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return flops / 2 + 10 * elements > MOST_WORK;
}

/** A case's inputs and random dy, and the slopes of the loss. */
function prepare(storage: StorageType, opCase: OpCase) {
  const { values, refs } = storeInputs(storage, opCase);
  const { shape } = opCase.reference(values);
  // Unlike the inputs: a norm's gradient by x is 0 where dy is x.
  const { data } = makeInput(normal(shape), 99);
  const { dy } = storeInputs(storage, {
    inputs: { dy: { shape, value: (i) => data[i] } },
  }).values;
  const wanted = differentiable(opCase, refs);
  const slopes = slopesOf(opCase, values, dy, wanted);
  const all: StoredInputs["values"] = { ...values, dy };
  return { values: all, refs, wanted, slopes };
}

function testCase(
  storage: StorageType,
  opCase: OpCase,
  form: WeightForm,
  prepared: () => ReturnType<typeof prepare>,
): void {
  const { op, name } = opCase;
  const how = form === "input" ? "" : `, ${form} weight`;
  gpuTest(`gradient of ${op.name}, ${storage}${how}: ${name}`, async () => {
    const { values, refs, slopes, ...all } = prepared();
    const isHeld = form !== "input" && !("weight" in refs);
    const held = isHeld
      ? { weight: floatWeight("weight", values.weight, storage) }
      : refs;
    const wanted = all.wanted
      .filter((input) => form !== "frozen" || input !== "weight");
    const make = () =>
      gradientGraph(storage, {
        inputs: opCase.inputs,
        parameters: held,
        isTrainable: form === "trainable",
        wanted,
        apply: (g, inputs) =>
          g.applyAll(op, inputs, opCase.attributes)[opCase.output ?? "output"],
      });
    for (const kernel of kernelNames(make())) {
      const found = await runGraph(make(), kernel, values);
      for (const input of wanted) {
        const gradient = found[`gradient ${input}`];
        const errors = slopeErrors(gradient, slopes[input], storage);
        for (const [kind, error] of Object.entries(errors)) {
          assert(
            error <= GRADIENT_TOLERANCE[storage],
            `NMSE ${error} of ${kind} by ${input}, ${kernel}, at most ${
              GRADIENT_TOLERANCE[storage]
            }`,
          );
        }
      }
    }
  });
}

/** Tests the gradients of every case of every op that has a rule, in one storage type. */
export function testGradients(storage: StorageType): void {
  for (const opCase of opCases) {
    if (!rules.has(opCase.op) || opCase.hasKink || isLarge(opCase)) continue;
    let known: ReturnType<typeof prepare> | null = null;
    const prepared = () => (known ??= prepare(storage, opCase));
    const { inputs, op } = opCase;
    const isQuantised = Object.values(inputs)
      .some(({ dtype }) =>
        dtype !== undefined && !isFloat(dtype) && dtype !== "u32"
      );
    if (isQuantised) {
      testCase(storage, opCase, "frozen", prepared);
      continue;
    }
    testCase(storage, opCase, "input", prepared);
    if (!isWeight(op, "weight") || !("weight" in inputs)) continue;
    testCase(storage, opCase, "frozen", prepared);
    testCase(storage, opCase, "trainable", prepared);
  }
}
