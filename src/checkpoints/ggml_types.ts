/**
 * ggml's element types: what GGUF calls them, and how many bytes a block takes.
 *
 * @module
 */

/** Types of blocks of 32 values that can be read and written. */
export type GgmlBlockDtype = "Q4_0" | "Q4_1" | "Q5_0" | "Q5_1" | "Q8_0";

/** Types that are only named, so that a file with them can be listed. */
export type GgmlOtherDtype =
  | "Q8_1"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "Q8_K"
  | "IQ2_XXS"
  | "IQ2_XS"
  | "IQ3_XXS"
  | "IQ1_S"
  | "IQ4_NL"
  | "IQ3_S"
  | "IQ2_S"
  | "IQ4_XS"
  | "IQ1_M"
  | "TQ1_0"
  | "TQ2_0"
  | "MXFP4";

/** Types that other checkpoints have, too. */
export type GgmlPlainDtype =
  | "F32"
  | "F16"
  | "BF16"
  | "F64"
  | "I8"
  | "I16"
  | "I32"
  | "I64";

/** Types of GGUF that no other checkpoint has. */
export type GgmlDtype = GgmlBlockDtype | GgmlOtherDtype;

/** An element type as GGUF numbers it. */
export interface GgmlType {
  /** Its name: safetensors' where it has one, else ggml's. */
  readonly dtype: GgmlPlainDtype | GgmlDtype;
  /** Values in a block; 1 where there are no blocks. */
  readonly values: number;
  /** Bytes of a block. */
  readonly bytes: number;
}

const type = (
  dtype: GgmlType["dtype"],
  values: number,
  bytes: number,
): GgmlType => ({ dtype, values, bytes });

/** By number in the file; those that are missing were never released. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map([
  [0, type("F32", 1, 4)],
  [1, type("F16", 1, 2)],
  [2, type("Q4_0", 32, 18)],
  [3, type("Q4_1", 32, 20)],
  [6, type("Q5_0", 32, 22)],
  [7, type("Q5_1", 32, 24)],
  [8, type("Q8_0", 32, 34)],
  [9, type("Q8_1", 32, 36)],
  [10, type("Q2_K", 256, 84)],
  [11, type("Q3_K", 256, 110)],
  [12, type("Q4_K", 256, 144)],
  [13, type("Q5_K", 256, 176)],
  [14, type("Q6_K", 256, 210)],
  [15, type("Q8_K", 256, 292)],
  [16, type("IQ2_XXS", 256, 66)],
  [17, type("IQ2_XS", 256, 74)],
  [18, type("IQ3_XXS", 256, 98)],
  [19, type("IQ1_S", 256, 50)],
  [20, type("IQ4_NL", 32, 18)],
  [21, type("IQ3_S", 256, 110)],
  [22, type("IQ2_S", 256, 82)],
  [23, type("IQ4_XS", 256, 136)],
  [24, type("I8", 1, 1)],
  [25, type("I16", 1, 2)],
  [26, type("I32", 1, 4)],
  [27, type("I64", 1, 8)],
  [28, type("F64", 1, 8)],
  [29, type("IQ1_M", 256, 56)],
  [30, type("BF16", 1, 2)],
  [34, type("TQ1_0", 256, 54)],
  [35, type("TQ2_0", 256, 66)],
  [39, type("MXFP4", 32, 17)],
]);

/** The number of a type. */
export function ggmlNumber(dtype: GgmlType["dtype"]): number {
  for (const [number, type] of GGML_TYPES) {
    if (type.dtype === dtype) return number;
  }
  throw new RangeError(`GGUF has no type ${dtype}`);
}

/** The blocks that can be read. */
export const GGML_BLOCK_DTYPES: readonly GgmlBlockDtype[] = [
  "Q8_0",
  "Q5_1",
  "Q5_0",
  "Q4_1",
  "Q4_0",
];

/** Whether a type is one of blocks that can be read. */
export function isGgmlBlock(dtype: string): dtype is GgmlBlockDtype {
  return (GGML_BLOCK_DTYPES as readonly string[]).includes(dtype);
}

/** Bytes of a block of 32 values. */
export function ggmlBlockBytes(dtype: GgmlBlockDtype): number {
  return GGML_TYPES.get(ggmlNumber(dtype))!.bytes;
}
