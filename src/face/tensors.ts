/**
 * Reads whole tensors of a `*.weave` file, for components that run on the CPU.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { formatShape } from "../weights/dtype.ts";
import type { WeaveFile } from "../weights/weave.ts";

/** The dtypes that are read here, and the array of each. */
export interface PlainArrays {
  /** Single precision. */
  f32: Float32Array<ArrayBuffer>;
  /** Whole numbers with a sign. */
  i32: Int32Array<ArrayBuffer>;
  /** Bytes. */
  u8: Uint8Array<ArrayBuffer>;
}

/** A dtype that is read here. */
export type PlainDtype = keyof PlainArrays;

/**
 * Reads a tensor whole.
 *
 * @param file where it is
 * @param name its path
 * @param dtype the dtype it must have
 * @param shape the shape it must have, outermost dimension first
 * @returns its values in row-major order
 * @throws {MasterWeaverError} `bad-model` where it is missing, of another dtype or shape, or damaged
 */
export async function readTensor<D extends PlainDtype>(
  file: WeaveFile,
  name: string,
  dtype: D,
  shape: readonly number[],
): Promise<PlainArrays[D]> {
  const tensor = file.tensors.get(name);
  if (
    tensor?.dtype !== dtype || tensor.shape.length !== shape.length ||
    shape.some((size, i) => tensor.shape[i] !== size)
  ) {
    const found = tensor
      ? `is ${tensor.dtype} ${formatShape(tensor.shape)}`
      : "is missing";
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: its tensor ${name} ${found}, expected ${dtype} ${
        formatShape(shape)
      }; convert it again`,
    );
  }
  // The shape has been checked against the file's size.
  const bytes = new Uint8Array(tensor.bytes);
  let at = 0;
  for await (const chunk of tensor.chunks()) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return view(dtype, bytes.buffer) as PlainArrays[D];
}

function view(dtype: PlainDtype, bytes: ArrayBuffer): PlainArrays[PlainDtype] {
  switch (dtype) {
    case "f32":
      return new Float32Array(bytes);
    case "i32":
      return new Int32Array(bytes);
    case "u8":
      return new Uint8Array(bytes);
  }
}

/** Whether no value is infinite or NaN. */
export function allFinite(values: Float32Array): boolean {
  // A loop, because `every` takes ten times as long for millions of values.
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) return false;
  }
  return true;
}
