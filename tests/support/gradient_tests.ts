/**
 * The gradient of every op that has one against finite differences: the cases of
 * the ops, y = op(inputs), are made into losses Σ dy · y with random dy, whose
 * gradients by reverse mode are compared with central differences of the case's
 * loops in f64.
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
import { gpuTest } from "./gpu.ts";
import { gradientGraph, kernelNames, runGraph } from "./gradient_graph.ts";
import { slopeErrors, slopesOf } from "./slopes.ts";
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

/** Multiplications of the largest case: its loops run some 100 times. */
const MOST_WORK = 2e6;

/** How the weight of a linear layer or convolution is held. */
type WeightForm = "input" | "trainable" | "frozen";

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
  const slopes = slopesOf(opCase.reference, values, dy, wanted);
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
