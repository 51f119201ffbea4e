/**
 * A whole tensor in memory, to be written to `*.weave`.
 *
 * @module
 */
import type { PlainDtype } from "../face/tensors.ts";
import type { TensorToWrite } from "../weights/weave_writer.ts";

/**
 * A tensor in memory, to be written.
 *
 * @param values of that dtype, in row-major order
 */
export function tensorToWrite(
  name: string,
  dtype: PlainDtype,
  shape: readonly number[],
  values: Float32Array | Int32Array | Uint8Array,
): TensorToWrite {
  const { buffer, byteOffset, byteLength } = values;
  return {
    name,
    dtype,
    shape,
    async *data() {
      yield await Promise.resolve(
        new Uint8Array(buffer, byteOffset, byteLength),
      );
    },
  };
}
