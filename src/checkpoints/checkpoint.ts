/**
 * What all checkpoint readers return: named tensors, read on demand.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { float8ToFloat32 } from "./float8.ts";
import { dequantiseGgml, GGML_BLOCK } from "./ggml_blocks.ts";
import {
  GGML_BLOCK_DTYPES,
  ggmlBlockBytes,
  type GgmlBlockDtype,
  type GgmlDtype,
  isGgmlBlock,
} from "./ggml_types.ts";
import { bfloat16ToFloat32 } from "./half.ts";

/** Element types of checkpoints, by safetensors' names. */
export type CheckpointDtype =
  | "BOOL"
  | "U8"
  | "I8"
  | "U16"
  | "I16"
  | "U32"
  | "I32"
  | "U64"
  | "I64"
  | "F16"
  | "BF16"
  | "F8_E4M3"
  | "F8_E5M2"
  | "F32"
  | "F64";

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<CheckpointDtype, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  U16: 2,
  I16: 2,
  U32: 4,
  I32: 4,
  U64: 8,
  I64: 8,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F32: 4,
  F64: 8,
};

/** One tensor of a checkpoint. */
export interface CheckpointTensor {
  /** Full path; nested dictionaries are joined with dots. */
  readonly name: string;
  /** Element type; GGUF has some of its own. */
  readonly dtype: CheckpointDtype | GgmlDtype;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Bytes of all elements. */
  readonly bytes: number;
  /**
   * Reads elements in row-major order, little endian.
   *
   * @param offset first byte, from the tensor's start (0)
   * @param length bytes, whole elements or blocks (all that follow)
   * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
   */
  read(offset?: number, length?: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** An opened checkpoint. */
export interface Checkpoint {
  /** What messages call it. */
  readonly name: string;
  /** Its container. */
  readonly kind: "safetensors" | "torch-zip" | "torch-legacy" | "gguf";
  /** By full path, in the file's order. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** How many numbers, strings and other values there are beside the tensors. */
  readonly otherValues: number;
  /** Classes of objects that were ignored; only PyTorch files may have them. */
  readonly objects?: readonly string[];
  /** Text the file carries about itself. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Reads every tensor byte and checks what can be checked.
   *
   * @param onBytes called with the bytes of every chunk read
   * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
   */
  verify(onBytes?: (bytes: number) => void): Promise<void>;
}

/** The error of a checkpoint that cannot be used. */
export function badCheckpoint(
  name: string,
  what: string,
  options?: ErrorOptions,
): MasterWeaverError {
  return new MasterWeaverError(
    "bad-checkpoint",
    `Cannot use ${name}: ${what}`,
    options,
  );
}

/** The most tensors of a file: a hundred times those of the largest network. */
export const MAX_TENSORS = 100_000;

/** Bytes read at a time where a file is only read through. */
export const CHUNK_BYTES: number = 4 * 2 ** 20;

/** Reads a range chunk by chunk. */
export async function* chunksOf(
  source: ByteSource,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let done = 0; done < length; done += CHUNK_BYTES) {
    const count = Math.min(CHUNK_BYTES, length - done);
    yield await source.read(offset + done, count);
  }
}

/** Types that weights may have. */
const FLOATS: readonly string[] = [
  "F64",
  "F32",
  "F16",
  "BF16",
  "F8_E4M3",
  "F8_E5M2",
  ...GGML_BLOCK_DTYPES,
];

/** Whether {@linkcode readFloats} can read a type. */
export function holdsFloats({ dtype }: CheckpointTensor): boolean {
  return FLOATS.includes(dtype);
}

/**
 * What messages say of a type that {@linkcode readFloats} cannot read.
 *
 * @param what the tensor's name in the message
 */
export function expectedFloats(
  { dtype }: CheckpointTensor,
  what = "it",
): string {
  return !Object.hasOwn(DTYPE_BYTES, dtype)
    ? `${what} holds ${dtype}, which is not read; of ggml's quantised types only ${
      GGML_BLOCK_DTYPES.join(", ")
    } are`
    : `${what} holds ${dtype}, expected floating-point values`;
}

/**
 * Reads a tensor's values as f32.
 *
 * @param first where to start, in values in row-major order
 * @param count how many (all that follow)
 * @throws {MasterWeaverError} `bad-checkpoint` where it does not hold floating-point values
 */
export async function readFloats(
  tensor: CheckpointTensor,
  first = 0,
  count?: number,
): Promise<Float32Array<ArrayBuffer>> {
  if (isGgmlBlock(tensor.dtype)) {
    return await readBlocks(tensor, tensor.dtype, first, count);
  }
  const size = DTYPE_BYTES[tensor.dtype as CheckpointDtype];
  const length = count === undefined ? undefined : count * size;
  if (!holdsFloats(tensor)) {
    throw badCheckpoint(tensor.name, expectedFloats(tensor));
  }
  const { buffer } = await tensor.read(first * size, length);
  switch (tensor.dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return new Float32Array(new Float16Array(buffer));
    case "BF16":
      return bfloat16ToFloat32(new Uint16Array(buffer));
    case "F8_E4M3":
    case "F8_E5M2":
      return float8ToFloat32(new Uint8Array(buffer), tensor.dtype);
    case "F64":
      return new Float32Array(new Float64Array(buffer));
  }
  throw badCheckpoint(tensor.name, expectedFloats(tensor));
}

/** Reads the blocks that hold a range of values. */
async function readBlocks(
  tensor: CheckpointTensor,
  dtype: GgmlBlockDtype,
  first: number,
  count = tensor.shape.reduce((a, b) => a * b, 1) - first,
): Promise<Float32Array<ArrayBuffer>> {
  const size = ggmlBlockBytes(dtype);
  const from = Math.floor(first / GGML_BLOCK);
  const to = Math.ceil((first + count) / GGML_BLOCK);
  const bytes = await tensor.read(from * size, (to - from) * size);
  const start = first - from * GGML_BLOCK;
  const values = dequantiseGgml(bytes, dtype);
  return values.length === count ? values : values.slice(start, start + count);
}
