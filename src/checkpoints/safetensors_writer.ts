/**
 * Writes safetensors, chunk by chunk.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { brief } from "../weights/brief.ts";

/** A tensor to write. */
export interface SafetensorsContent {
  /** Its name; unique in the file. */
  readonly name: string;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Its values in row-major order. */
  readonly floats: () =>
    | Iterable<Float32Array<ArrayBuffer>>
    | AsyncIterable<Float32Array<ArrayBuffer>>;
}

/** The key of the header that holds text, not a tensor. */
const METADATA = "__metadata__";
/** The data starts at a multiple of this, as in files of the Python library. */
const ALIGNMENT = 8;

/**
 * Writes a file.
 *
 * @param append takes the file's bytes in order
 * @param tensors in the order they are stored
 * @param dtype what they are stored as
 * @param metadata text that the file carries about itself
 * @throws {MasterWeaverError} `bad-option` where names repeat, or a tensor's values do not fit its shape
 * @example
 * ```ts
 * import { writeSafetensors } from "./safetensors_writer.ts";
 *
 * let bytes = 0;
 * await writeSafetensors(
 *   (chunk) => Promise.resolve(void (bytes += chunk.length)),
 *   [{ name: "a", shape: [2], floats: () => [new Float32Array([1, 2])] }],
 *   "F32",
 *   { made: "by hand" },
 * );
 * console.log(bytes % 8); // 0
 * ```
 */
export async function writeSafetensors(
  append: (bytes: Uint8Array) => Promise<void>,
  tensors: readonly SafetensorsContent[],
  dtype: "F32" | "F16",
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const header = headerOf(tensors, dtype, metadata);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  await append(length);
  await append(header);
  for (const { name, shape, floats } of tensors) {
    const expected = elements(shape);
    let count = 0;
    for await (const values of floats()) {
      count += values.length;
      const stored = dtype === "F32" ? values : new Float16Array(values);
      const { buffer, byteOffset, byteLength } = stored;
      await append(new Uint8Array(buffer, byteOffset, byteLength));
    }
    if (count !== expected) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write tensor ${brief(name)}: it has ${count} values, ` +
          `its shape [${shape.join(", ")}] ${expected}`,
      );
    }
  }
}

function headerOf(
  tensors: readonly SafetensorsContent[],
  dtype: "F32" | "F16",
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const size = dtype === "F32" ? 4 : 2;
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) entries.set(METADATA, metadata);
  let end = 0;
  for (const { name, shape } of tensors) {
    if (name === METADATA || entries.has(name)) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write tensor ${brief(name)}: the file has that name already, ` +
          "give each tensor its own",
      );
    }
    const start = end;
    end += size * elements(shape);
    entries.set(name, { dtype, shape, data_offsets: [start, end] });
  }
  const json = new TextEncoder().encode(
    JSON.stringify(Object.fromEntries(entries)),
  );
  // Blanks after it align the data.
  const padded = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const header = new Uint8Array(padded).fill(0x20);
  header.set(json);
  return header;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
