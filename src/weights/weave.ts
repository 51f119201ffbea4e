/**
 * Reads `*.weave`, the format of a converted model's components, which
 * `weights/FORMAT.md` describes. No number in a file is trusted before it has
 * been checked against the file.
 *
 * @module
 */
import { alignedSource, type ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { brief } from "./brief.ts";
import { Crc32, crc32 } from "./crc32.ts";
import {
  byteLength,
  countElements,
  formatShape,
  isWeaveDtype,
  type WeaveDtype,
} from "./dtype.ts";
import { jsonFault, parseJson } from "./json.ts";

/** The first eight bytes; the line ending and ^Z are damaged where a file is sent as text. */
export const MAGIC: Uint8Array = new TextEncoder().encode("WEAVE\r\n\x1a");
/** The version written and read here. */
export const VERSION = 1;
/** Bytes before the header: magic, version, header CRC, header length. */
export const PREAMBLE_BYTES = 24;
/** Tensors start at multiples of this. */
export const ALIGNMENT = 256;
/** The longest header accepted, in bytes. */
export const MAX_HEADER_BYTES: number = 64 * 2 ** 20;

const CHUNK_BYTES = 4 * 2 ** 20;
/** The advice at the end of every message. */
const REMEDY = "convert or copy the file again";

/** A JSON object whose content is not checked here. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** One tensor of a `*.weave` file. */
export interface WeaveTensor {
  /** Full path, as in the checkpoint it came from. */
  readonly name: string;
  /** How the values are stored. */
  readonly dtype: WeaveDtype;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Bytes in the file. */
  readonly bytes: number;
  /**
   * Streams the stored bytes, little endian, and checks them on the way.
   *
   * @param maxBytes the longest chunk, rounded down to a multiple of 256 (4 MiB)
   * @throws {MasterWeaverError} `bad-model`, after the last chunk, where the checksum differs
   */
  chunks(maxBytes?: number): AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** An opened `*.weave` file. */
export interface WeaveFile {
  /** What messages call it. */
  readonly name: string;
  /** Which component it is: `unet`, `vae`, … */
  readonly component: string;
  /** The component's configuration, as JSON. */
  readonly config: JsonObject;
  /** Where the weights came from, as JSON. */
  readonly provenance: JsonObject;
  /** By name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, WeaveTensor>;
  /**
   * SHA-256 of the header in hexadecimal. The header holds the checksum of
   * every tensor, so this covers the whole content.
   */
  readonly hash: string;
}

/**
 * Opens a `*.weave` file: reads and checks its header, not its tensors.
 *
 * @param given the file's bytes; must stay readable while tensors are used
 * @throws {MasterWeaverError} `bad-model` where the file is damaged, hostile, of another format or version
 * @example
 * ```ts
 * import { MemorySource } from "../base/bytes.ts";
 * import { openWeave } from "./weave.ts";
 *
 * const source = new MemorySource(new Uint8Array(10), "empty.weave");
 * await openWeave(source).catch((error) => console.log(error.message));
 * ```
 */
export async function openWeave(given: ByteSource): Promise<WeaveFile> {
  const source = alignedSource(given);
  const { header, entries, headerBytes } = await readEntries(source);
  return {
    name: source.name,
    component: header.component,
    config: header.config,
    provenance: header.provenance,
    tensors: new Map(
      entries.map((entry) => [entry.name, streamed(source, entry)]),
    ),
    hash: await sha256(headerBytes),
  };
}

/**
 * Checks the bytes that belong to no tensor: zeros up to each tensor's start,
 * and nothing after the last. {@linkcode openWeave} checks only those right
 * after the header.
 *
 * @throws {MasterWeaverError} `bad-model` naming the place, and what opening throws
 */
export async function checkWeavePadding(source: ByteSource): Promise<void> {
  const { entries, dataStart } = await readEntries(source);
  let position = dataStart;
  for (const entry of entries.toSorted((a, b) => a.offset - b.offset)) {
    await checkZeros(source, position, entry.offset);
    position = entry.offset + entry.bytes;
  }
  if (entries.length === 0) {
    // A file with only a header may still be padded to a multiple of 256.
    const end = Math.min(source.size, aligned(position));
    await checkZeros(source, position, end);
    position = end;
  }
  if (position !== source.size) {
    throw bad(
      source,
      `its tensors end at byte ${position}, the file at ${source.size}`,
    );
  }
}

interface Entries {
  readonly header: Header;
  readonly headerBytes: Uint8Array<ArrayBuffer>;
  readonly entries: readonly Entry[];
  /** Where the header ends. */
  readonly dataStart: number;
}

async function readEntries(source: ByteSource): Promise<Entries> {
  const headerBytes = await readHeaderBytes(source);
  const header = parseHeader(source, headerBytes);
  const dataStart = PREAMBLE_BYTES + headerBytes.length;
  const entries = Object.entries(header.tensors).map(([name, entry]) =>
    checkEntry(source, name, entry, dataStart)
  );
  checkOverlap(source, entries);
  await checkZeros(
    source,
    dataStart,
    Math.min(source.size, aligned(dataStart)),
  );
  return { header, headerBytes, entries, dataStart };
}

/** Where the next tensor may start. */
function aligned(position: number): number {
  return Math.ceil(position / ALIGNMENT) * ALIGNMENT;
}

async function checkZeros(
  source: ByteSource,
  start: number,
  end: number,
): Promise<void> {
  for (let at = start; at < end; at += CHUNK_BYTES) {
    const bytes = await source.read(at, Math.min(CHUNK_BYTES, end - at));
    const wrong = bytes.findIndex((byte) => byte !== 0);
    if (wrong < 0) continue;
    throw bad(
      source,
      `byte ${at + wrong} is ${
        bytes[wrong]
      }, expected the zeros between header and tensors`,
    );
  }
}

/** Whether bytes start like a `*.weave` file. */
export function isWeave(start: Uint8Array): boolean {
  return MAGIC.every((byte, i) => start[i] === byte);
}

interface Entry {
  readonly name: string;
  readonly dtype: WeaveDtype;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly bytes: number;
  readonly crc32: number;
}

function bad(source: ByteSource, what: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-model",
    `Cannot use ${source.name}: ${what}; ${REMEDY}`,
  );
}

async function readHeaderBytes(
  source: ByteSource,
): Promise<Uint8Array<ArrayBuffer>> {
  const preamble = await source.read(0, Math.min(PREAMBLE_BYTES, source.size));
  if (!isWeave(preamble)) {
    throw bad(source, "it is not a .weave file (its first bytes differ)");
  }
  if (preamble.length < PREAMBLE_BYTES) {
    throw bad(source, `it ends after ${source.size} bytes`);
  }
  const view = new DataView(preamble.buffer);
  const version = view.getUint32(8, true);
  if (version !== VERSION) {
    throw bad(source, `its version is ${version}, expected ${VERSION}`);
  }
  const length = view.getBigUint64(16, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw bad(
      source,
      `its header is ${length} bytes long, at most ${MAX_HEADER_BYTES} are allowed`,
    );
  }
  if (PREAMBLE_BYTES + Number(length) > source.size) {
    throw bad(
      source,
      `its header is ${length} bytes long, the file only ${source.size}`,
    );
  }
  const header = await source.read(PREAMBLE_BYTES, Number(length));
  if (crc32(header) !== view.getUint32(12, true)) {
    throw bad(source, "its header is damaged (the checksum differs)");
  }
  return header;
}

interface Header {
  component: string;
  config: JsonObject;
  provenance: JsonObject;
  tensors: JsonObject;
}

function parseHeader(source: ByteSource, bytes: Uint8Array): Header {
  let header: unknown;
  try {
    header = parseJson(bytes);
  } catch (cause) {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${source.name}: its header is ${jsonFault(cause)}; ${REMEDY}`,
      { cause },
    );
  }
  if (!isObject(header)) throw bad(source, "its header is not a JSON object");
  const { component, config, provenance, tensors } = header;
  if (typeof component !== "string" || component === "") {
    throw bad(source, "its header names no component");
  }
  if (!isObject(config)) throw bad(source, "its header has no config");
  if (!isObject(provenance)) throw bad(source, "its header has no provenance");
  if (!isObject(tensors)) throw bad(source, "its header has no tensors");
  return { component, config, provenance, tensors };
}

/** Checks one header entry on its own. */
function checkEntry(
  source: ByteSource,
  name: string,
  entry: unknown,
  dataStart: number,
): Entry {
  const wrong = (what: string) => bad(source, `tensor ${brief(name)}: ${what}`);
  if (name === "") throw wrong("its name is empty");
  if (!isObject(entry)) throw wrong("its entry is not an object");
  const { dtype, shape, offset, bytes, crc32 } = entry;
  if (!isWeaveDtype(dtype)) {
    throw wrong(`its dtype is ${brief(dtype)}, which is unknown`);
  }
  const count = countElements(shape);
  if (typeof count === "string") throw wrong(count);
  if (count === 0) throw wrong("a dimension of its shape is 0");
  const sizes = shape as readonly number[];
  const expected = byteLength(dtype, sizes);
  if (typeof expected === "string") throw wrong(expected);
  if (bytes !== expected) {
    throw wrong(
      `it takes ${brief(bytes)} bytes, ${dtype} ${
        formatShape(sizes)
      } needs ${expected}`,
    );
  }
  if (!isWhole(offset) || offset % ALIGNMENT !== 0 || offset < dataStart) {
    throw wrong(
      `it starts at ${brief(offset)}, expected a multiple of ${ALIGNMENT} ` +
        `from ${dataStart}`,
    );
  }
  if (offset + expected > source.size) {
    throw wrong(
      `it ends at byte ${offset + expected}, the file at ${source.size}`,
    );
  }
  if (!isWhole(crc32) || crc32 > 0xffffffff) {
    throw wrong(`its checksum is ${brief(crc32)}, expected 0..2³²−1`);
  }
  return { name, dtype, shape: sizes, offset, bytes: expected, crc32 };
}

function checkOverlap(source: ByteSource, entries: readonly Entry[]): void {
  const byOffset = entries.toSorted((a, b) => a.offset - b.offset);
  for (const [i, entry] of byOffset.entries()) {
    const before = byOffset[i - 1];
    if (before && before.offset + before.bytes > entry.offset) {
      throw bad(
        source,
        `tensor ${brief(entry.name)} starts at ${entry.offset}, inside tensor ${
          brief(before.name)
        } that ends at ${before.offset + before.bytes}`,
      );
    }
  }
}

function streamed(source: ByteSource, entry: Entry): WeaveTensor {
  const { name, dtype, shape, bytes } = entry;
  return {
    name,
    dtype,
    shape,
    bytes,
    async *chunks(maxBytes = CHUNK_BYTES) {
      const step = Math.max(256, Math.floor(maxBytes / 256) * 256);
      const crc = new Crc32();
      for (let done = 0; done < bytes; done += step) {
        const chunk = await source.read(
          entry.offset + done,
          Math.min(step, bytes - done),
        );
        crc.update(chunk);
        yield chunk;
      }
      if (crc.value !== entry.crc32) {
        throw bad(
          source,
          `tensor ${brief(name)} is damaged (its checksum is ${crc.value}, ` +
            `expected ${entry.crc32})`,
        );
      }
    },
  };
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
