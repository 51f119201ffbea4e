/**
 * The inputs of an op's case as they are stored: rounded to their element type, and
 * weights as a file has them.
 *
 * @module
 */
import type { StorageType } from "../../src/gpu/gpu.ts";
import {
  dequantise,
  quantise,
  type QuantisedDtype,
} from "../../src/weights/quantise.ts";
import type { WeightRef } from "../../src/weights/scope.ts";
import { makeInput, type OpCase } from "../ops/op_case.ts";
import { type Dense, dense } from "../ops/reference.ts";
import { join } from "./weights.ts";

/** A case's inputs. */
export interface StoredInputs {
  /** Their values after rounding. */
  readonly values: Readonly<Record<string, Dense>>;
  /** Those that are quantised, as a file has them. */
  readonly refs: Readonly<Record<string, WeightRef>>;
}

/** Makes a case's inputs, the same on every run. */
export function storeInputs(
  storage: StorageType,
  { inputs }: Pick<OpCase, "inputs">,
): StoredInputs {
  const values: Record<string, Dense> = {};
  const refs: Record<string, WeightRef> = {};
  Object.entries(inputs).forEach(([name, spec], seed) => {
    const { shape, data } = makeInput(spec, seed);
    const dtype = spec.dtype ?? storage;
    if (dtype === "q8" || dtype === "q4") {
      const weight = quantisedWeight(name, shape, data, dtype);
      refs[name] = weight.ref;
      values[name] = dense(shape, (i) => weight.values[i]);
      return;
    }
    const stored = dtype === "f16"
      ? new Float16Array(data)
      : dtype === "u32"
      ? new Uint32Array(data)
      : new Float32Array(data);
    values[name] = dense(shape, (i) => stored[i]);
  });
  return { values, refs };
}

/** A weight as a file has it, and the values it stands for. */
export function quantisedWeight(
  name: string,
  shape: readonly number[],
  data: ArrayLike<number>,
  dtype: QuantisedDtype,
): { readonly ref: WeightRef; readonly values: Float32Array } {
  const { quants, scales } = quantise(new Float32Array(data), dtype);
  const bytes = join([quants, new Uint8Array(scales.buffer)]);
  const stored = join([bytes, new Uint8Array(-bytes.length & 3)]);
  return {
    ref: weightRef(name, shape, dtype, stored),
    values: dequantise(quants, scales, dtype),
  };
}

/** A weight of f32 or f16 as a file has it. */
export function floatWeight(
  name: string,
  { shape, data }: Dense,
  dtype: StorageType,
): WeightRef {
  const stored = dtype === "f16"
    ? new Float16Array(data)
    : new Float32Array(data);
  return weightRef(name, shape, dtype, new Uint8Array(stored.buffer));
}

function weightRef(
  name: string,
  shape: readonly number[],
  dtype: StorageType | QuantisedDtype,
  bytes: Uint8Array<ArrayBuffer>,
): WeightRef {
  /** As a file's: of whole blocks, of at most so many bytes. */
  async function* chunks(most = bytes.length) {
    for (let at = 0; at < bytes.length; at += most) {
      yield await Promise.resolve(bytes.subarray(at, at + most));
    }
  }
  const tensor = { name, dtype, shape, bytes: bytes.length, chunks };
  return { name, shape, tensor };
}
