/**
 * Writes NumPy's `.npy` files.
 *
 * @module
 */

/** Bytes before the data, of which 10 come before the header's text. */
const HEADER_BYTES = 128;

/**
 * Encodes an array as version 1.0 of the format, `<f4`, C order.
 *
 * @param values as many as the shape says
 * @returns the whole file
 *
 * @example
 * ```ts
 * import { encodeNpy } from "./npy.ts";
 *
 * const file = encodeNpy(Float32Array.of(1, 2, 3, 4), [2, 2]);
 * console.log(file.length); // 144
 * ```
 */
export function encodeNpy(
  values: Float32Array,
  shape: readonly number[],
): Uint8Array<ArrayBuffer> {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text =
    `{'descr': '<f4', 'fortran_order': False, 'shape': (${sides}), }`;
  const file = new Uint8Array(HEADER_BYTES + 4 * values.length).fill(0x20);
  file.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0]);
  const view = new DataView(file.buffer);
  view.setUint16(8, HEADER_BYTES - 10, true);
  file.set(new TextEncoder().encode(text), 10);
  file[HEADER_BYTES - 1] = 0x0a;
  values.forEach((value, i) =>
    view.setFloat32(HEADER_BYTES + 4 * i, value, true)
  );
  return file;
}
