/**
 * Reads the keys and values at the start of a GGUF file. Values that mean nothing
 * here, such as a language model's vocabulary, are passed over.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { badCheckpoint } from "./checkpoint.ts";
import type { GgufCursor } from "./gguf_cursor.ts";

/** What a value is, by the number that stands before it. */
const STRING = 8;
const ARRAY = 9;

/** Bytes of a value of the other types, and how one is read. */
const NUMBERS: ReadonlyMap<
  number,
  readonly [bytes: number, read: (view: DataView) => number | bigint | boolean]
> = new Map([
  [0, [1, (view) => view.getUint8(0)]],
  [1, [1, (view) => view.getInt8(0)]],
  [2, [2, (view) => view.getUint16(0, true)]],
  [3, [2, (view) => view.getInt16(0, true)]],
  [4, [4, (view) => view.getUint32(0, true)]],
  [5, [4, (view) => view.getInt32(0, true)]],
  [6, [4, (view) => view.getFloat32(0, true)]],
  [7, [1, (view) => view.getUint8(0) !== 0]],
  [10, [8, (view) => view.getBigUint64(0, true)]],
  [11, [8, (view) => view.getBigInt64(0, true)]],
  [12, [8, (view) => view.getFloat64(0, true)]],
]);

/** The most keys: a language model has about fifty. */
const MAX_KEYS = 65_536;
/** The longest key, as the format's description has it. */
const MAX_KEY_BYTES = 65_535;
/** The longest text that is kept. */
const MAX_TEXT_BYTES = 32 * 2 ** 20;
/** The longest list of numbers that is kept, such as a tensor's dimensions. */
const MAX_LIST = 8;
/** How deep lists may lie in lists. */
const MAX_NESTING = 4;

/**
 * Reads all keys and values.
 *
 * @param count how many there are, as the file says
 * @param name what messages call the file
 * @returns texts, numbers and short lists of numbers, as text
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function readGgufMetadata(
  cursor: GgufCursor,
  count: number,
  name: string,
): Promise<Record<string, string>> {
  if (count > MAX_KEYS) {
    throw badCheckpoint(
      name,
      `it would have ${count} metadata keys, at most ${MAX_KEYS} are allowed`,
    );
  }
  // A key's length, a type and one byte.
  cursor.checkCount(count, 8 + 4 + 1, "metadata keys");
  const found = new Map<string, string>();
  const seen = new Set<string>();
  for (let i = 0; i < count; i++) {
    const key = await cursor.text(MAX_KEY_BYTES, `metadata key ${i}`);
    if (seen.has(key)) {
      throw badCheckpoint(name, `it has the metadata key ${brief(key)} twice`);
    }
    seen.add(key);
    const value = await readValue(cursor, key, name);
    if (value !== undefined) found.set(key, value);
  }
  return Object.fromEntries(found);
}

async function readValue(
  cursor: GgufCursor,
  key: string,
  name: string,
): Promise<string | undefined> {
  const what = `the value of ${brief(key)}`;
  const type = await cursor.u32(`the type of ${brief(key)}`);
  if (type === STRING) return await cursor.text(MAX_TEXT_BYTES, what);
  if (type === ARRAY) return await readList(cursor, { key, name, depth: 1 });
  const [bytes, read] = numberOf(type, key, name);
  return String(read(await cursor.bytes(bytes, what)));
}

function numberOf(type: number, key: string, name: string) {
  const number = NUMBERS.get(type);
  if (number) return number;
  throw badCheckpoint(
    name,
    `its metadata key ${brief(key)} has the type ${type}, expected 0 to 12; ` +
      "it is damaged: download it again",
  );
}

/** Where a list is. */
interface ListPlace {
  readonly key: string;
  readonly name: string;
  readonly depth: number;
}

/** Passes over a list; a short one of numbers is kept. */
async function readList(
  cursor: GgufCursor,
  place: ListPlace,
): Promise<string | undefined> {
  const { key, name, depth } = place;
  const what = `the list ${brief(key)}`;
  if (depth > MAX_NESTING) {
    throw badCheckpoint(
      name,
      `its metadata key ${brief(key)} has lists more than ${MAX_NESTING} deep`,
    );
  }
  const type = await cursor.u32(`the type of ${what}`);
  const count = await cursor.u64(`the length of ${what}`);
  if (type === STRING) {
    cursor.checkCount(count, 8, `strings in ${brief(key)}`);
    for (let i = 0; i < count; i++) {
      cursor.skip(await cursor.u64(`the length of a string`), what);
    }
    return;
  }
  if (type === ARRAY) {
    cursor.checkCount(count, 12, `lists in ${brief(key)}`);
    const inner = { key, name, depth: depth + 1 };
    for (let i = 0; i < count; i++) await readList(cursor, inner);
    return;
  }
  const [bytes, read] = numberOf(type, key, name);
  cursor.checkCount(count, bytes, `numbers in ${brief(key)}`);
  if (count > MAX_LIST) return void cursor.skip(count * bytes, what);
  const numbers: string[] = [];
  for (let i = 0; i < count; i++) {
    numbers.push(String(read(await cursor.bytes(bytes, what))));
  }
  return numbers.join(",");
}
