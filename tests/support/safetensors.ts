/**
 * Reads and writes the goldens. Deliberately not with the library's own reader,
 * whose bugs would go unnoticed.
 *
 * @module
 */
import { join, rawSafetensors } from "./weights.ts";

/** A golden tensor: row-major values and their shape. */
export interface GoldenTensor {
  /** Outermost dimension first. */
  shape: number[];
  /** F32, I32 and U8 as they are; F64 and I64 narrowed to 32 bits. */
  data:
    | Float32Array<ArrayBuffer>
    | Int32Array<ArrayBuffer>
    | Uint8Array<ArrayBuffer>;
}

/** Reads every tensor of a safetensors file, compressed with gzip if it ends in `.gz`. */
export async function readSafetensors(
  path: string | URL,
): Promise<Map<string, GoldenTensor>> {
  const { file, length, header } = await open(path);
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

/** What a safetensors file says of itself, by key. */
export async function readMetadata(
  path: string | URL,
): Promise<Record<string, string>> {
  const { header } = await open(path);
  return (header as Record<string, unknown>)["__metadata__"] as Record<
    string,
    string
  > ?? {};
}

/** The values of one tensor that must exist and be floating point. */
export function floats(
  tensors: Map<string, GoldenTensor>,
  name: string,
): Float32Array<ArrayBuffer> {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Float32Array)) {
    throw new Error(`The goldens have no floating-point tensor ${name}`);
  }
  return data;
}

/** A safetensors file of these tensors. */
export function safetensorsFile(
  tensors: ReadonlyMap<string, GoldenTensor>,
): Uint8Array<ArrayBuffer> {
  let end = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { shape, data }] of tensors) {
    const start = end;
    end += data.byteLength;
    const dtype = data instanceof Float32Array
      ? "F32"
      : data instanceof Int32Array
      ? "I32"
      : "U8";
    header[name] = { dtype, shape, data_offsets: [start, end] };
  }
  const data = [...tensors.values()].map(({ data }) =>
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  );
  return rawSafetensors(header, join(data));
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

async function open(path: string | URL) {
  const packed = await Deno.readFile(path);
  const file = String(path).endsWith(".gz") ? await unpacked(packed) : packed;
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(file.subarray(8, 8 + length));
  const header: Record<string, Entry> = JSON.parse(text);
  return { file, length, header };
}

async function unpacked(
  packed: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([packed]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function typed(
  dtype: string,
  bytes: ArrayBuffer,
  name: string,
): GoldenTensor["data"] {
  switch (dtype) {
    case "F32":
      return new Float32Array(bytes);
    case "F64":
      return Float32Array.from(new Float64Array(bytes));
    case "U8":
      return new Uint8Array(bytes);
    case "I32":
      return new Int32Array(bytes);
    case "I64":
      return Int32Array.from(new BigInt64Array(bytes), Number);
    default:
      throw new Error(
        `Golden ${name} has dtype ${dtype}, which is not supported`,
      );
  }
}
