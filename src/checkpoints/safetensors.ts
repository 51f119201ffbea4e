/**
 * Reads safetensors: a u64 header length, a JSON header with each tensor's dtype,
 * shape and data offsets, then the data, which tensors cover without gaps or
 * overlap.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { alignedSource, type ByteSource } from "../base/bytes.ts";
import {
  badCheckpoint,
  type Checkpoint,
  type CheckpointDtype,
  type CheckpointTensor,
  chunksOf,
  DTYPE_BYTES,
} from "./checkpoint.ts";
import { countElements, formatShape } from "../weights/dtype.ts";
import { jsonFault, parseJson } from "../weights/json.ts";

const MAX_HEADER_BYTES = 64 * 2 ** 20;

/**
 * Opens a safetensors file: reads and checks its header, not its tensors.
 *
 * @param given the file's bytes; must stay readable while tensors are used
 * @throws {MasterWeaverError} `bad-checkpoint`
 * @example
 * ```ts
 * import { MemorySource } from "../base/bytes.ts";
 * import { openSafetensors } from "./safetensors.ts";
 *
 * const header = new TextEncoder().encode("{}");
 * const file = new Uint8Array([header.length, 0, 0, 0, 0, 0, 0, 0, ...header]);
 * const { tensors } = await openSafetensors(new MemorySource(file));
 * console.log(tensors.size); // 0
 * ```
 */
export async function openSafetensors(given: ByteSource): Promise<Checkpoint> {
  const source = alignedSource(given);
  const { entries, dataStart } = await readHeader(source);
  const tensors = new Map<string, CheckpointTensor>();
  let metadata: Record<string, string> = {};
  const ranges: Range[] = [];
  for (const [name, entry] of entries) {
    if (name === "__metadata__") {
      metadata = readMetadata(source, entry);
      continue;
    }
    const tensor = checkEntry(source, name, entry, dataStart);
    tensors.set(name, tensor);
    ranges.push(tensor);
  }
  checkCoverage(source, ranges, dataStart);
  return {
    name: source.name,
    kind: "safetensors",
    tensors,
    otherValues: 0,
    metadata,
    async verify(onBytes = () => {}) {
      const length = source.size - dataStart;
      for await (const chunk of chunksOf(source, dataStart, length)) {
        onBytes(chunk.byteLength);
      }
    },
  };
}

interface Range {
  readonly name: string;
  /** First byte, in the file. */
  readonly start: number;
  readonly bytes: number;
}

async function readHeader(source: ByteSource) {
  if (source.size < 8) {
    throw badCheckpoint(
      source.name,
      `it is ${source.size} bytes long, too short for safetensors`,
    );
  }
  const start = await source.read(0, 8);
  const length = new DataView(start.buffer).getBigUint64(0, true);
  if (length > BigInt(Math.min(MAX_HEADER_BYTES, source.size - 8))) {
    throw badCheckpoint(
      source.name,
      `its header would be ${length} bytes long, the file is ${source.size}; ` +
        "it is no safetensors file, or cut short: download it again",
    );
  }
  const bytes = await source.read(8, Number(length));
  let header: unknown;
  try {
    header = parseJson(bytes);
  } catch (cause) {
    throw badCheckpoint(source.name, `its header is ${jsonFault(cause)}`, {
      cause,
    });
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw badCheckpoint(source.name, "its header is not a JSON object");
  }
  return { entries: Object.entries(header), dataStart: 8 + bytes.length };
}

function readMetadata(
  source: ByteSource,
  value: unknown,
): Record<string, string> {
  const isText = typeof value === "object" && value !== null &&
    Object.values(value).every((text) => typeof text === "string");
  if (!isText) {
    throw badCheckpoint(source.name, "its __metadata__ is not strings by name");
  }
  return { ...value } as Record<string, string>;
}

function isDtype(value: unknown): value is CheckpointDtype {
  return typeof value === "string" && Object.hasOwn(DTYPE_BYTES, value);
}

function checkEntry(
  source: ByteSource,
  name: string,
  entry: unknown,
  dataStart: number,
): CheckpointTensor & Range {
  const wrong = (what: string) =>
    badCheckpoint(source.name, `tensor ${brief(name)}: ${what}`);
  if (typeof entry !== "object" || entry === null) {
    throw wrong("its entry is not an object");
  }
  const { dtype, shape, data_offsets: offsets } = entry as Record<
    string,
    unknown
  >;
  if (!isDtype(dtype)) {
    throw wrong(
      `its dtype is ${brief(dtype)}, expected one of ${
        Object.keys(DTYPE_BYTES).join(", ")
      }`,
    );
  }
  const count = countElements(shape);
  if (typeof count === "string") throw wrong(count);
  const sizes = shape as readonly number[];
  const [from, to] = Array.isArray(offsets) && offsets.length === 2
    ? offsets as unknown[]
    : [];
  const end = source.size - dataStart;
  if (isWhole(from) && isWhole(to) && from <= to && to > end) {
    throw badCheckpoint(
      source.name,
      `tensor ${brief(name)} ends at byte ${dataStart + to}, the file at ` +
        `${source.size}: it is cut short, download it again`,
    );
  }
  if (!isWhole(from) || !isWhole(to) || from > to) {
    throw wrong(
      `its data offsets are ${brief(offsets)}, expected two numbers in order ` +
        `from 0 to ${end}`,
    );
  }
  const bytes = count * DTYPE_BYTES[dtype];
  if (to - from !== bytes) {
    throw wrong(
      `it takes ${to - from} bytes, ${dtype} ${
        formatShape(sizes)
      } needs ${bytes}`,
    );
  }
  const start = dataStart + from;
  return {
    name,
    dtype,
    shape: sizes,
    bytes,
    start,
    read: (offset = 0, length = bytes - offset) => {
      if (!isWhole(offset) || !isWhole(length) || offset + length > bytes) {
        throw new RangeError(
          `Cannot read ${length} bytes at ${offset} of tensor ${name}: it has ${bytes}`,
        );
      }
      return source.read(start + offset, length);
    },
  };
}

/** Checks that tensors use each byte of the data once, to the end of the file. */
function checkCoverage(
  source: ByteSource,
  ranges: readonly Range[],
  dataStart: number,
): void {
  let position = dataStart;
  const inOrder = ranges.toSorted((a, b) =>
    a.start - b.start || a.bytes - b.bytes
  );
  for (const range of inOrder) {
    if (range.start !== position) {
      throw badCheckpoint(
        source.name,
        `tensor ${brief(range.name)} starts at byte ${range.start}, the one ` +
          `before it ends at ${position}: tensors may not overlap or leave gaps`,
      );
    }
    position = range.start + range.bytes;
  }
  if (position !== source.size) {
    throw badCheckpoint(
      source.name,
      `its tensors end at byte ${position}, the file at ${source.size}; ` +
        "it is damaged: download it again",
    );
  }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
