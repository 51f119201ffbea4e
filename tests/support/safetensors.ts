/**
 * Reads the goldens. Deliberately not the library's own reader, so that a
 * fault there cannot hide itself.
 *
 * @module
 */

/** A golden tensor: row-major values and their shape. */
export interface GoldenTensor {
  /** Outermost dimension first. */
  shape: number[];
  /** F32 and I32 as they are; F64 and I64 narrowed to 32 bits. */
  data: Float32Array | Int32Array;
}

/** Reads every tensor of a safetensors file. */
export async function readSafetensors(
  path: string | URL,
): Promise<Map<string, GoldenTensor>> {
  const file = await Deno.readFile(path);
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header: Record<string, {
    dtype: string;
    shape: number[];
    data_offsets: [number, number];
  }> = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = entry.data_offsets.map((at) => 8 + length + at);
    // A copy starts at an aligned address, as typed arrays need.
    const bytes = file.slice(start, end).buffer;
    tensors.set(name, {
      shape: entry.shape,
      data: typed(entry.dtype, bytes, name),
    });
  }
  return tensors;
}

/** The values of one tensor that must exist and be floating point. */
export function floats(
  tensors: Map<string, GoldenTensor>,
  name: string,
): Float32Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Float32Array)) {
    throw new Error(`The goldens have no floating-point tensor ${name}`);
  }
  return data;
}

function typed(
  dtype: string,
  bytes: ArrayBuffer,
  name: string,
): Float32Array | Int32Array {
  switch (dtype) {
    case "F32":
      return new Float32Array(bytes);
    case "F64":
      return Float32Array.from(new Float64Array(bytes));
    case "I32":
      return new Int32Array(bytes);
    case "I64":
      return Int32Array.from(new BigInt64Array(bytes), Number);
    default:
      throw new Error(`Golden ${name} has dtype ${dtype}, which is not read`);
  }
}
