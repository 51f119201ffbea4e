/**
 * Writes safetensors chunk by chunk.
 *
 * @module
 */

/** A tensor to write. */
export interface SafetensorsContent {
  /** Its name. */
  readonly name: string;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Its values in row-major order. */
  readonly floats: () => Iterable<Float32Array<ArrayBuffer>>;
}

/**
 * Writes a file.
 *
 * @param append takes the file's bytes in order
 * @param tensors in the order they are stored
 * @param dtype what they are stored as
 */
export async function writeSafetensors(
  append: (bytes: Uint8Array) => Promise<void>,
  tensors: readonly SafetensorsContent[],
  dtype: "F32" | "F16",
): Promise<void> {
  const size = dtype === "F32" ? 4 : 2;
  let end = 0;
  const entries = tensors.map(({ name, shape }) => {
    const start = end;
    end += size * shape.reduce((a, b) => a * b, 1);
    return [name, { dtype, shape, data_offsets: [start, end] }] as const;
  });
  const json = JSON.stringify(Object.fromEntries(entries));
  // Blanks after it put the data at a multiple of eight, as the library does.
  const header = new TextEncoder().encode(
    json.padEnd(Math.ceil(json.length / 8) * 8),
  );
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  await append(length);
  await append(header);
  for (const { floats } of tensors) {
    for (const values of floats()) {
      const stored = dtype === "F32" ? values : new Float16Array(values);
      await append(new Uint8Array(stored.buffer, 0, stored.byteLength));
    }
  }
}
