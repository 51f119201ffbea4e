/**
 * Writes GGUF, chunk by chunk.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { brief } from "../weights/brief.ts";
import { GGML_TYPES, ggmlNumber } from "./ggml_types.ts";
import type { SharedBlockDtype } from "./ggml_blocks.ts";
import { GGUF_ALIGNMENT, GGUF_MAGIC } from "./gguf.ts";

/** A tensor to write. */
export interface GgufContent {
  /** Its name; unique in the file. */
  readonly name: string;
  /** How its values are stored. */
  readonly dtype: "F32" | "F16" | SharedBlockDtype;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** The stored bytes, chunk by chunk. */
  readonly data: () => AsyncIterable<Uint8Array>;
}

const VERSION = 3;
const U32 = 4;
const STRING = 8;

/**
 * Writes a file.
 *
 * @param append takes the file's bytes in order
 * @param metadata texts, and whole numbers of 32 bits
 * @param tensors in the order they are stored
 * @throws {MasterWeaverError} `bad-option` where names repeat, or a tensor's bytes do not fit its shape
 * @example
 * ```ts
 * import { writeGguf } from "./gguf_writer.ts";
 *
 * const chunks: Uint8Array[] = [];
 * const data = async function* () {
 *   yield await Promise.resolve(new Uint8Array(8));
 * };
 * await writeGguf(
 *   (chunk) => Promise.resolve(void chunks.push(chunk)),
 *   { "general.architecture": "sd1" },
 *   [{ name: "a", dtype: "F32", shape: [2], data }],
 * );
 * console.log(new TextDecoder().decode(chunks[0].subarray(0, 4))); // GGUF
 * ```
 */
export async function writeGguf(
  append: (bytes: Uint8Array) => Promise<void>,
  metadata: Readonly<Record<string, string | number>>,
  tensors: readonly GgufContent[],
): Promise<void> {
  const names = new Set(tensors.map(({ name }) => name));
  if (names.size < tensors.length) {
    throw new MasterWeaverError(
      "bad-option",
      "Cannot write GGUF: two tensors have one name, give each its own",
    );
  }
  await append(headerOf(metadata, tensors));
  for (const tensor of tensors) {
    let count = 0;
    for await (const chunk of tensor.data()) {
      count += chunk.length;
      await append(chunk);
    }
    const expected = bytesOf(tensor);
    if (count !== expected) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write tensor ${brief(tensor.name)}: it has ${count} bytes, ` +
          `its type ${tensor.dtype} and shape [${
            tensor.shape.join(", ")
          }] need ${expected}`,
      );
    }
    await append(new Uint8Array(padded(count) - count));
  }
}

function headerOf(
  metadata: Readonly<Record<string, string | number>>,
  tensors: readonly GgufContent[],
): Uint8Array {
  const header = new Fields();
  header.bytes(new TextEncoder().encode(GGUF_MAGIC));
  header.u32(VERSION);
  header.u64(tensors.length);
  header.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    header.text(key);
    header.u32(typeof value === "string" ? STRING : U32);
    if (typeof value === "string") header.text(value);
    else header.u32(value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    header.text(tensor.name);
    header.u32(tensor.shape.length);
    for (const size of tensor.shape.toReversed()) header.u64(size);
    header.u32(ggmlNumber(tensor.dtype));
    header.u64(offset);
    offset += padded(bytesOf(tensor));
  }
  return header.padded();
}

/** Bytes that a tensor takes, without padding. */
function bytesOf({ dtype, shape }: GgufContent): number {
  const { values, bytes } = GGML_TYPES.get(ggmlNumber(dtype))!;
  return shape.reduce((a, b) => a * b, 1) / values * bytes;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / GGUF_ALIGNMENT) * GGUF_ALIGNMENT;
}

/** The header's fields, one after another. */
class Fields {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  bytes(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  u32(value: number): void {
    this.bytes(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: number): void {
    this.bytes(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.bytes(bytes);
  }

  /** All of them, and zeros up to the alignment. */
  padded(): Uint8Array {
    const all = new Uint8Array(padded(this.#length));
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}
