/**
 * Reads the subset of zip that PyTorch writes: a directory of entries that are
 * stored, not compressed, with 64-bit sizes where they are needed.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { alignedSource, type ByteSource } from "../base/bytes.ts";
import { badCheckpoint } from "./checkpoint.ts";

/** An entry of a zip file. */
export interface ZipEntry {
  /** Its path. */
  readonly name: string;
  /** Bytes of its content. */
  readonly size: number;
  /** CRC-32 of its content. */
  readonly crc32: number;
  /** Where its local header starts. */
  readonly header: number;
}

const MAX_DIRECTORY_BYTES = 64 * 2 ** 20;
const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT = 0xffff;
/** A 32-bit field's value where the 64-bit one counts. */
const ELSEWHERE = 0xffffffff;

/**
 * Reads the directory of a zip file.
 *
 * @returns entries by path
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function readZipDirectory(
  given: ByteSource,
): Promise<Map<string, ZipEntry>> {
  const source = alignedSource(given);
  const { offset, size, count } = await findDirectory(source);
  if (size > MAX_DIRECTORY_BYTES || offset + size > source.size) {
    throw damaged(source, `its directory would be ${size} bytes at ${offset}`);
  }
  const bytes = await source.read(offset, size);
  const view = new DataView(bytes.buffer);
  const entries = new Map<string, ZipEntry>();
  let total = 0;
  for (let at = 0, i = 0; i < count; i++) {
    if (at + ENTRY_BYTES > size || view.getUint32(at, true) !== 0x02014b50) {
      throw damaged(source, `its directory ends before entry ${i} of ${count}`);
    }
    const { entry, next } = readEntry(source, bytes, view, at);
    if (entries.has(entry.name)) {
      throw damaged(source, `it has two entries ${brief(entry.name)}`);
    }
    // With entries that share bytes, a small file could take forever to read.
    total += entry.size;
    if (total > source.size) {
      throw damaged(
        source,
        `its entries take more than its ${source.size} bytes`,
      );
    }
    entries.set(entry.name, entry);
    at = next;
  }
  return entries;
}

/**
 * Where an entry's content starts; checks that all of it is in the file.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function locateZipEntry(
  given: ByteSource,
  entry: ZipEntry,
): Promise<number> {
  const source = alignedSource(given);
  const wrong = (what: string) =>
    damaged(source, `its entry ${brief(entry.name)} ${what}`);
  if (entry.header + LOCAL_BYTES > source.size) {
    throw wrong(`starts at byte ${entry.header} of ${source.size}`);
  }
  const local = new DataView(
    (await source.read(entry.header, LOCAL_BYTES)).buffer,
  );
  if (local.getUint32(0, true) !== 0x04034b50) {
    throw wrong(`has no header at byte ${entry.header}`);
  }
  const start = entry.header + LOCAL_BYTES + local.getUint16(26, true) +
    local.getUint16(28, true);
  if (start + entry.size > source.size) {
    throw wrong(`ends at byte ${start + entry.size} of ${source.size}`);
  }
  return start;
}

function damaged(source: ByteSource, what: string): Error {
  return badCheckpoint(
    source.name,
    `${what}; the file is damaged or cut short: download it again`,
  );
}

/** Finds the directory by the record at the file's end. */
async function findDirectory(source: ByteSource) {
  const length = Math.min(source.size, END_BYTES + MAX_COMMENT);
  const start = source.size - length;
  const bytes = await source.read(start, length);
  const view = new DataView(bytes.buffer);
  let at = length - END_BYTES;
  while (at >= 0 && view.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) throw damaged(source, "it has no zip directory");
  const found = {
    count: view.getUint16(at + 10, true),
    size: view.getUint32(at + 12, true),
    offset: view.getUint32(at + 16, true),
  };
  const isShort = found.count !== 0xffff && found.size !== ELSEWHERE &&
    found.offset !== ELSEWHERE;
  if (isShort) return found;
  return await findDirectory64(source, start + at);
}

/** The 64-bit record, which a locator right before the 32-bit one points to. */
async function findDirectory64(source: ByteSource, end: number) {
  if (end < LOCATOR_BYTES) throw damaged(source, "it has no zip64 locator");
  const locator = new DataView(
    (await source.read(end - LOCATOR_BYTES, LOCATOR_BYTES)).buffer,
  );
  const at = Number(locator.getBigUint64(8, true));
  if (
    locator.getUint32(0, true) !== 0x07064b50 || at + END64_BYTES > source.size
  ) throw damaged(source, "its zip64 locator is wrong");
  const record = new DataView((await source.read(at, END64_BYTES)).buffer);
  if (record.getUint32(0, true) !== 0x06064b50) {
    throw damaged(source, "its zip64 record is wrong");
  }
  return {
    count: Number(record.getBigUint64(32, true)),
    size: Number(record.getBigUint64(40, true)),
    offset: Number(record.getBigUint64(48, true)),
  };
}

function readEntry(
  source: ByteSource,
  bytes: Uint8Array,
  view: DataView,
  at: number,
): { entry: ZipEntry; next: number } {
  const nameLength = view.getUint16(at + 28, true);
  const extraLength = view.getUint16(at + 30, true);
  const extraStart = at + ENTRY_BYTES + nameLength;
  const next = extraStart + extraLength + view.getUint16(at + 32, true);
  if (next > bytes.length) {
    throw damaged(source, `its directory ends inside the entry at ${at}`);
  }
  const name = new TextDecoder().decode(
    bytes.subarray(at + ENTRY_BYTES, extraStart),
  );
  const method = view.getUint16(at + 10, true);
  if (method !== 0 || (view.getUint16(at + 8, true) & 1) !== 0) {
    throw badCheckpoint(
      source.name,
      `its entry ${
        brief(name)
      } is compressed or encrypted, which PyTorch never writes`,
    );
  }
  const wide = wideFields(view, extraStart, extraLength);
  const field = (position: number) => {
    const short = view.getUint32(at + position, true);
    return short === ELSEWHERE ? wide.shift() ?? NaN : short;
  };
  const size = field(24);
  const stored = field(20);
  const header = field(42);
  if (![size, header].every(Number.isSafeInteger) || stored !== size) {
    throw damaged(source, `its entry ${brief(name)} has wrong sizes`);
  }
  const crc32 = view.getUint32(at + 16, true);
  return { entry: { name, size, crc32, header }, next };
}

/** The 64-bit values of an entry's zip64 field, in their fixed order. */
function wideFields(view: DataView, start: number, length: number): number[] {
  const end = start + length;
  for (let at = start; at + 4 <= end;) {
    const size = view.getUint16(at + 2, true);
    const stop = at + 4 + size;
    if (view.getUint16(at, true) === 1 && stop <= end) {
      const values: number[] = [];
      for (let i = at + 4; i + 8 <= stop; i += 8) {
        values.push(Number(view.getBigUint64(i, true)));
      }
      return values;
    }
    at = stop;
  }
  return [];
}
