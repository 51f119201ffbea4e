/**
 * Writes the subset of zip that PyTorch reads: stored entries whose content
 * starts at a multiple of 64 bytes.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { Crc32 } from "../weights/crc32.ts";

/** An entry to write. */
export interface ZipContent {
  /** Its path. */
  readonly name: string;
  /** Bytes of its content. */
  readonly size: number;
  /** Its content; called twice, because the checksum comes before it. */
  readonly data: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** As `torch.save` aligns, so that a file can be mapped into memory. */
const ALIGNMENT = 64;
const LOCAL_BYTES = 30;
const ENTRY_BYTES = 46;
const END_BYTES = 22;
/** Sizes and offsets are 32-bit. */
const MAX_BYTES = 0xffffffff;
/** The id of the extra field that is only padding. */
const PADDING_ID = 0x4246;
/** 1 January 1980, the earliest date, so that the same content gives the same bytes. */
const DATE = 0x0021;
const UTF8 = 0x0800;

/**
 * Writes a zip file.
 *
 * @param append takes the file's bytes in order
 * @param contents the entries, in order
 * @param onBytes called with the bytes of every chunk; the content passes twice
 * @throws {MasterWeaverError} `bad-option` where it would be over 4 GB, or content is not as long as stated
 */
export async function writeZip(
  append: (bytes: Uint8Array) => Promise<void>,
  contents: readonly ZipContent[],
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const total = contents.reduce(
    (sum, { name, size }) => sum + size + overhead(name),
    END_BYTES,
  );
  if (total > MAX_BYTES) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot write a zip file of ${total} bytes: at most ${MAX_BYTES} are possible`,
    );
  }
  let position = 0;
  const put = async (bytes: Uint8Array) => {
    position += bytes.byteLength;
    await append(bytes);
  };
  const directory: Uint8Array[] = [];
  for (const content of contents) {
    const { name, size } = content;
    const crc = await pass(content, () => {}, onBytes);
    const facts = { name: new TextEncoder().encode(name), size, crc };
    directory.push(directoryEntry(facts, position));
    await put(localHeader(facts, position));
    await pass(content, put, onBytes);
  }
  const start = position;
  for (const entry of directory) await put(entry);
  await put(endRecord(directory.length, position - start, start));
}

/** The most bytes an entry can take beside its content. */
function overhead(name: string): number {
  const nameBytes = 4 * name.length;
  return LOCAL_BYTES + nameBytes + 4 + ALIGNMENT + ENTRY_BYTES + nameBytes;
}

interface EntryFacts {
  readonly name: Uint8Array;
  readonly size: number;
  readonly crc: number;
}

/** Passes content on and returns its CRC-32. */
async function pass(
  { name, size, data }: ZipContent,
  put: (bytes: Uint8Array) => Promise<void> | void,
  onBytes: (bytes: number) => void,
): Promise<number> {
  const crc = new Crc32();
  let total = 0;
  for await (const chunk of data()) {
    crc.update(chunk);
    total += chunk.byteLength;
    await put(chunk);
    onBytes(chunk.byteLength);
  }
  if (total !== size) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot write zip entry ${name}: it gave ${total} bytes, expected ${size}`,
    );
  }
  return crc.value;
}

function localHeader(facts: EntryFacts, position: number): Uint8Array {
  const { name } = facts;
  const unpadded = position + LOCAL_BYTES + name.length + 4;
  const padding = -unpadded & ALIGNMENT - 1;
  const bytes = new Uint8Array(LOCAL_BYTES + name.length + 4 + padding);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x04034b50, true);
  commonFields(view, 4, facts, 4 + padding);
  bytes.set(name, LOCAL_BYTES);
  view.setUint16(LOCAL_BYTES + name.length, PADDING_ID, true);
  view.setUint16(LOCAL_BYTES + name.length + 2, padding, true);
  return bytes;
}

function directoryEntry(facts: EntryFacts, position: number): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES + facts.name.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x02014b50, true);
  commonFields(view, 6, facts, 0);
  view.setUint32(42, position, true);
  bytes.set(facts.name, ENTRY_BYTES);
  return bytes;
}

/** The fields that local header and directory share, starting with the version needed. */
function commonFields(
  view: DataView,
  at: number,
  { name, size, crc }: EntryFacts,
  extra: number,
): void {
  view.setUint16(at, 20, true); // zip 2.0
  view.setUint16(at + 2, UTF8, true);
  view.setUint16(at + 8, DATE, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, size, true); // stored: both sizes are the same
  view.setUint32(at + 18, size, true);
  view.setUint16(at + 22, name.length, true);
  view.setUint16(at + 24, extra, true);
}

function endRecord(count: number, size: number, start: number): Uint8Array {
  const bytes = new Uint8Array(END_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, count, true);
  view.setUint16(10, count, true);
  view.setUint32(12, size, true);
  view.setUint32(16, start, true);
  return bytes;
}
