/**
 * Reads GGUF, the container of ggml's programs such as stable-diffusion.cpp,
 * versions 2 and 3: a magic, counts, metadata, an entry for each tensor with its
 * type, dimensions (innermost first) and offset, then the data, in which each
 * tensor starts at a multiple of the alignment right after the one before it.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { alignedSource, type ByteSource } from "../base/bytes.ts";
import {
  countElements,
  formatShape,
  MAX_DIMENSIONS,
} from "../weights/dtype.ts";
import {
  badCheckpoint,
  type Checkpoint,
  type CheckpointTensor,
  chunksOf,
  MAX_TENSORS,
} from "./checkpoint.ts";
import { GGML_TYPES, type GgmlType } from "./ggml_types.ts";
import { GgufCursor } from "./gguf_cursor.ts";
import { readGgufMetadata } from "./gguf_metadata.ts";

/** What a file starts with. */
export const GGUF_MAGIC = "GGUF";
/** The key that says what kind of model a file is for. */
export const ARCHITECTURE = "general.architecture";
/** The key of the alignment, and what it is without the key. */
const ALIGNMENT_KEY = "general.alignment";
/** Where tensors start, unless the file says otherwise. */
export const GGUF_ALIGNMENT = 32;

const MAX_ALIGNMENT = 2 ** 20;
/** Four times what ggml allows. */
const MAX_NAME_BYTES = 512;
/** ComfyUI's converter flattens tensors to quantise them, and notes their shapes. */
const ORIGINAL_SHAPE = "comfy.gguf.orig_shape.";

/**
 * Opens a GGUF file: reads and checks its header, not its tensors.
 *
 * @param given the file's bytes; must stay readable while tensors are used
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function openGguf(given: ByteSource): Promise<Checkpoint> {
  const source = alignedSource(given);
  const cursor = new GgufCursor(source);
  const counts = await readCounts(cursor, source.name);
  const metadata = await readGgufMetadata(cursor, counts.keys, source.name);
  const alignment = alignmentOf(metadata, source.name);
  const entries: Entry[] = [];
  // A name's length, the number of dimensions, type and offset.
  cursor.checkCount(counts.tensors, 8 + 4 + 4 + 8, "tensors");
  for (let i = 0; i < counts.tensors; i++) {
    entries.push(await readEntry(cursor, source.name));
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  checkPlaces(source, entries, dataStart, alignment);
  const tensors = new Map<string, CheckpointTensor>();
  for (const entry of entries) {
    if (tensors.has(entry.name)) {
      throw badCheckpoint(
        source.name,
        `it has the tensor ${brief(entry.name)} twice`,
      );
    }
    const shape = originalShape(entry, metadata[ORIGINAL_SHAPE + entry.name]);
    tensors.set(entry.name, tensorOf(source, { ...entry, shape }, dataStart));
  }
  return {
    name: source.name,
    kind: "gguf",
    tensors,
    otherValues: counts.keys,
    metadata,
    async verify(onBytes = () => {}) {
      const length = source.size - dataStart;
      for await (const chunk of chunksOf(source, dataStart, length)) {
        onBytes(chunk.byteLength);
      }
    },
  };
}

/** The head of a file: magic, version and two counts. */
async function readCounts(cursor: GgufCursor, name: string) {
  const magic = await cursor.bytes(4, "its magic");
  const text = new TextDecoder().decode(magic);
  if (text !== GGUF_MAGIC) {
    throw badCheckpoint(name, `it starts with ${brief(text)}, expected GGUF`);
  }
  const version = await cursor.u32("its version");
  if (version !== 2 && version !== 3) {
    // The byte order is that of the version, which is small.
    const isBigEndian = version !== 0 && version % 2 ** 24 === 0;
    throw badCheckpoint(
      name,
      isBigEndian
        ? "it is a big-endian GGUF file, expected a little-endian one"
        : `it is version ${version} of GGUF, expected 2 or 3; convert the model again`,
    );
  }
  const tensors = await cursor.u64("the number of its tensors");
  if (tensors > MAX_TENSORS) {
    throw badCheckpoint(
      name,
      `it would have ${tensors} tensors, at most ${MAX_TENSORS} are allowed`,
    );
  }
  return { tensors, keys: await cursor.u64("the number of its metadata keys") };
}

function alignmentOf(
  metadata: Readonly<Record<string, string>>,
  name: string,
): number {
  const text = metadata[ALIGNMENT_KEY];
  if (text === undefined) return GGUF_ALIGNMENT;
  const value = Number(text);
  const isPower = Number.isInteger(Math.log2(value)) && value >= 1;
  if (isPower && value <= MAX_ALIGNMENT) return value;
  throw badCheckpoint(
    name,
    `its ${ALIGNMENT_KEY} is ${brief(text)}, expected a power of two up to ` +
      MAX_ALIGNMENT,
  );
}

/** A tensor's entry in the header. */
interface Entry {
  readonly name: string;
  readonly type: GgmlType;
  /** Outermost first. */
  readonly shape: readonly number[];
  /** First byte, from the data's start. */
  readonly offset: number;
  readonly bytes: number;
}

async function readEntry(cursor: GgufCursor, file: string): Promise<Entry> {
  const name = await cursor.text(MAX_NAME_BYTES, "a tensor's name");
  const wrong = (what: string) =>
    badCheckpoint(file, `tensor ${brief(name)}: ${what}`);
  const dimensions = await cursor.u32(`the shape of ${brief(name)}`);
  if (dimensions > MAX_DIMENSIONS) {
    throw wrong(
      `it has ${dimensions} dimensions, at most ${MAX_DIMENSIONS} are allowed`,
    );
  }
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) {
    shape.unshift(await cursor.u64(`the shape of ${brief(name)}`));
  }
  const count = countElements(shape);
  if (typeof count === "string") throw wrong(count);
  const number = await cursor.u32(`the type of ${brief(name)}`);
  const type = GGML_TYPES.get(number);
  if (!type) {
    throw wrong(
      `its type is ${number}, which is none of ggml's that are known`,
    );
  }
  const inner = shape.at(-1) ?? 1;
  if (inner % type.values !== 0) {
    throw wrong(
      `its innermost dimension is ${inner}, ${type.dtype} needs a multiple of ${type.values}`,
    );
  }
  const bytes = count / type.values * type.bytes;
  if (!Number.isSafeInteger(bytes)) {
    throw wrong(`its shape ${formatShape(shape)} has too many elements`);
  }
  const offset = await cursor.u64(`the offset of ${brief(name)}`);
  return { name, type, shape, offset, bytes };
}

/** The shape that a converter noted, where it has as many values. */
function originalShape(
  { shape }: Entry,
  noted: string | undefined,
): readonly number[] {
  if (noted === undefined) return shape;
  const original = noted.split(",").map(Number);
  const elements = countElements(original);
  return elements === countElements(shape) ? original : shape;
}

/** Checks that tensors lie in the file, aligned and one right after another. */
function checkPlaces(
  source: ByteSource,
  entries: readonly Entry[],
  dataStart: number,
  alignment: number,
): void {
  let end = 0;
  const inOrder = entries.toSorted((a, b) =>
    a.offset - b.offset || a.bytes - b.bytes
  );
  for (const { name, offset, bytes } of inOrder) {
    const next = Math.ceil(end / alignment) * alignment;
    if (offset !== next) {
      throw badCheckpoint(
        source.name,
        `tensor ${
          brief(name)
        } starts at byte ${offset} of the data, expected ` +
          `${next}: tensors may not overlap or leave gaps`,
      );
    }
    end = offset + bytes;
    if (dataStart + end > source.size) {
      throw badCheckpoint(
        source.name,
        `tensor ${brief(name)} ends at byte ${dataStart + end}, the file at ` +
          `${source.size}: it is cut short, download it again`,
      );
    }
  }
  // The last tensor may be padded like the others.
  const padded = dataStart + Math.ceil(end / alignment) * alignment;
  if (entries.length > 0 && source.size > padded) {
    throw badCheckpoint(
      source.name,
      `its tensors end at byte ${
        dataStart + end
      }, the file at ${source.size}; ` +
        "it is damaged: download it again",
    );
  }
}

function tensorOf(
  source: ByteSource,
  { name, type, shape, offset: start, bytes }: Entry,
  dataStart: number,
): CheckpointTensor {
  return {
    name,
    dtype: type.dtype,
    shape,
    bytes,
    read: (offset = 0, length = bytes - offset) => {
      const isInside = Number.isSafeInteger(offset) &&
        Number.isSafeInteger(length) && offset >= 0 && length >= 0 &&
        offset + length <= bytes;
      if (!isInside) {
        throw new RangeError(
          `Cannot read ${length} bytes at ${offset} of tensor ${name}: it has ${bytes}`,
        );
      }
      return source.read(dataStart + start + offset, length);
    },
  };
}
