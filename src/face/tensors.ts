/**
 * Whole tensors between memory and `*.weave`, for parts that run on the CPU.
 *
 * @module
 */
import { MasterWeaverError } from "../errors.ts";
import { formatShape } from "../weights/dtype.ts";
import type { WeaveFile } from "../weights/weave.ts";
import type { TensorToWrite } from "../weights/weave_writer.ts";

/** The dtypes that are read here, and what each is in memory. */
export interface PlainArrays {
  /** Single precision. */
  f32: Float32Array<ArrayBuffer>;
  /** Half precision. */
  f16: Float16Array<ArrayBuffer>;
  /** Whole numbers with a sign. */
  i32: Int32Array<ArrayBuffer>;
}

/** A dtype that is read here. */
export type PlainDtype = keyof PlainArrays;

/**
 * Reads a tensor whole.
 *
 * @param file where it is
 * @param name its path
 * @param dtypes what it may be stored as
 * @param shape what it must be, outermost dimension first
 * @returns its values in row-major order
 * @throws {MasterWeaverError} `bad-model` where it is missing, of another dtype or shape, or damaged
 */
export async function readTensor<D extends PlainDtype>(
  file: WeaveFile,
  name: string,
  dtypes: readonly D[],
  shape: readonly number[],
): Promise<PlainArrays[D]> {
  const tensor = file.tensors.get(name);
  const dtype = dtypes.find((dtype) => dtype === tensor?.dtype);
  if (
    !tensor || !dtype || tensor.shape.length !== shape.length ||
    shape.some((size, i) => tensor.shape[i] !== size)
  ) {
    const found = tensor
      ? `is ${tensor.dtype} ${formatShape(tensor.shape)}`
      : "is missing";
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: its tensor ${name} ${found}, expected ${
        dtypes.join(" or ")
      } ${formatShape(shape)}; convert it again`,
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
    case "f16":
      return new Float16Array(bytes);
    case "i32":
      return new Int32Array(bytes);
  }
}

/**
 * A tensor in memory, to be written.
 *
 * @param values in row-major order; `f16` is rounded to nearest, ties to even
 */
export function tensorToWrite(
  name: string,
  dtype: PlainDtype,
  shape: readonly number[],
  values: ArrayLike<number>,
): TensorToWrite {
  return {
    name,
    dtype,
    shape,
    async *data() {
      const { buffer } = dtype === "f32"
        ? Float32Array.from(values)
        : dtype === "f16"
        ? Float16Array.from(values)
        : Int32Array.from(values);
      yield await Promise.resolve(new Uint8Array(buffer));
    },
  };
}
