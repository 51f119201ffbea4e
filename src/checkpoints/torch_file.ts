/**
 * Reads what `torch.save` writes, in both its containers: a zip file with a
 * pickle and one entry for each storage (`.bin`, `.pt`, `.ckpt`), and the older
 * bare sequence of pickles followed by the storages (`.pth`).
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { alignedSource, type ByteSource } from "../base/bytes.ts";
import {
  badCheckpoint,
  type Checkpoint,
  type CheckpointTensor,
  chunksOf,
  DTYPE_BYTES,
} from "./checkpoint.ts";
import { PickleCut, unpickle, type Unpickled } from "./pickle.ts";
import {
  PickleDict,
  PickleList,
  type PickleStorage,
  type PickleTensor,
  type PickleValue,
} from "./pickle_values.ts";
import {
  type FlatPickle,
  flatten,
  isContiguous,
  readableTensor,
} from "./torch_tensors.ts";
import { locateZipEntry, readZipDirectory, type ZipEntry } from "./zip.ts";
import { ZipChecks } from "./zip_checks.ts";

const MAX_PICKLE_BYTES = 64 * 2 ** 20;
const FIRST_WINDOW = 2 ** 20;
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

/** What a file of `torch.save` holds. */
export interface TorchContent {
  /** Its tensors by path. */
  readonly checkpoint: Checkpoint;
  /** All of it as it was saved, numbers and texts included. */
  readonly value: PickleValue;
}

/**
 * Opens a file of `torch.save` in its zip container.
 *
 * @param given the file's bytes; must stay readable while tensors are used
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function openTorchZip(given: ByteSource): Promise<Checkpoint> {
  return (await openTorchContent(given)).checkpoint;
}

/**
 * As {@linkcode openTorchZip}, for files whose other values count too, such as
 * an optimiser's state.
 *
 * @param given the file's bytes; must stay readable while tensors are used
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function openTorchContent(
  given: ByteSource,
): Promise<TorchContent> {
  const source = alignedSource(given);
  const entries = await readZipDirectory(source);
  const pickle = [...entries.values()].find(({ name }) =>
    name === "data.pkl" || name.endsWith("/data.pkl")
  );
  if (!pickle) {
    throw badCheckpoint(
      source.name,
      "it is a zip file without data.pkl, expected one of torch.save",
    );
  }
  const checks = new ZipChecks(source, entries.values());
  const folder = pickle.name.slice(0, -"data.pkl".length);
  const content = async (entry: ZipEntry) => {
    if (entry.size > MAX_PICKLE_BYTES) {
      throw badCheckpoint(
        source.name,
        `its entry ${brief(entry.name)} has ${entry.size} bytes`,
      );
    }
    const start = await locateZipEntry(source, entry);
    const bytes = await source.read(start, entry.size);
    checks.checkContent(entry, bytes);
    return bytes;
  };
  const order = entries.get(`${folder}byteorder`);
  if (order && new TextDecoder().decode(await content(order)) !== "little") {
    throw badCheckpoint(source.name, "its numbers are big endian");
  }
  const value = readPickle(source, await content(pickle));
  const flat = flatten(value, source.name);
  const places = await locateEntries(source, entries, folder, flat);
  const plain = readable(source, flat, ({ key }) => places.get(key)!);
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, tensor] of plain.tensors) {
    const view = flat.tensors.get(name)!;
    const entry = entries.get(`${folder}data/${view.storage.key}`)!;
    tensors.set(name, checkedTensor(tensor, view, entry, checks));
  }
  const checkpoint: Checkpoint = {
    ...plain,
    tensors,
    kind: "torch-zip",
    async verify(onBytes = () => {}) {
      for (const entry of entries.values()) await checks.read(entry, onBytes);
    },
  };
  return { checkpoint, value };
}

/**
 * Opens a file of `torch.save` in its older container.
 *
 * @param given the file's bytes; must stay readable while tensors are used
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function openTorchLegacy(
  given: ByteSource,
): Promise<Checkpoint> {
  const source = alignedSource(given);
  let position = 0;
  const next = async () => {
    const { value, length } = await unpickleAt(source, position);
    position += length;
    return value;
  };
  const magic = await next();
  const protocol = await next();
  if (magic !== LEGACY_MAGIC || protocol !== LEGACY_PROTOCOL) {
    throw badCheckpoint(
      source.name,
      `it is a pickle, but not of torch.save (it starts with ${
        showValue(magic)
      } and ${showValue(protocol)})`,
    );
  }
  const system = await next();
  const isLittle = system instanceof PickleDict
    ? system.entries.get("little_endian")
    : undefined;
  if (isLittle !== true) {
    throw badCheckpoint(source.name, "its numbers are not little endian");
  }
  const flat = flatten(await next(), source.name);
  const keys = await next();
  const places = await locateLegacy(source, position, keys, flat);
  return {
    ...readable(source, flat, ({ key }) => places.get(key)!),
    kind: "torch-legacy",
    async verify(onBytes = () => {}) {
      for await (const chunk of chunksOf(source, 0, source.size)) {
        onBytes(chunk.byteLength);
      }
    },
  };
}

function readable(
  source: ByteSource,
  { tensors, otherValues, objects }: FlatPickle,
  locate: (storage: PickleStorage) => number,
): Omit<Checkpoint, "kind" | "verify"> {
  return {
    name: source.name,
    otherValues,
    objects,
    metadata: {},
    tensors: new Map(
      [...tensors].map(([name, tensor]) => [
        name,
        readableTensor(source, name, tensor, locate),
      ]),
    ),
  };
}

function readPickle(source: ByteSource, bytes: Uint8Array): PickleValue {
  try {
    return unpickle(bytes, source.name).value;
  } catch (error) {
    throw error instanceof PickleCut ? endsEarly(source) : error;
  }
}

function endsEarly(source: ByteSource): Error {
  return badCheckpoint(
    source.name,
    "its pickle ends early; the file is damaged or cut short: download it again",
  );
}

/** Reads a pickle of unknown length: in a window that grows until it fits. */
async function unpickleAt(
  source: ByteSource,
  position: number,
): Promise<Unpickled> {
  const rest = source.size - position;
  for (let window = FIRST_WINDOW;; window *= 4) {
    const length = Math.min(rest, window, MAX_PICKLE_BYTES);
    try {
      return unpickle(await source.read(position, length), source.name);
    } catch (error) {
      if (!(error instanceof PickleCut)) throw error;
      if (length === rest || length === MAX_PICKLE_BYTES) {
        throw endsEarly(source);
      }
    }
  }
}

/** The storages that tensors refer to, each once. */
function storagesOf(
  source: ByteSource,
  { tensors, hidden }: FlatPickle,
): Map<string, PickleStorage> {
  const storages = new Map<string, PickleStorage>();
  for (const { storage } of [...tensors.values(), ...hidden]) {
    const known = storages.get(storage.key) ?? storage;
    if (known.dtype !== storage.dtype || known.count !== storage.count) {
      throw badCheckpoint(
        source.name,
        `storage ${brief(storage.key)} is described in two ways`,
      );
    }
    storages.set(storage.key, storage);
  }
  return storages;
}

async function locateEntries(
  source: ByteSource,
  entries: ReadonlyMap<string, ZipEntry>,
  folder: string,
  flat: FlatPickle,
): Promise<Map<string, number>> {
  const places = new Map<string, number>();
  for (
    const { key, dtype, count } of storagesOf(source, flat).values()
  ) {
    const entry = entries.get(`${folder}data/${key}`);
    const bytes = count * DTYPE_BYTES[dtype];
    if (entry?.size !== bytes) {
      throw badCheckpoint(
        source.name,
        `storage ${brief(key)} needs an entry of ${bytes} bytes, found ${
          entry ? `one of ${entry.size}` : "none"
        }`,
      );
    }
    places.set(key, await locateZipEntry(source, entry));
  }
  return places;
}

/** After the pickles come, for each key in order, a u64 count and the elements. */
async function locateLegacy(
  source: ByteSource,
  start: number,
  keys: PickleValue,
  flat: FlatPickle,
): Promise<Map<string, number>> {
  if (!(keys instanceof PickleList)) {
    throw badCheckpoint(source.name, "it has no list of its storages");
  }
  const storages = storagesOf(source, flat);
  const places = new Map<string, number>();
  let position = start;
  for (const key of keys.items) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    // Without a tensor that refers to it, its element size is not known.
    if (!storage || places.has(storage.key)) {
      throw badCheckpoint(
        source.name,
        `its list of storages names ${showValue(key)}, which no tensor uses ` +
          "or which was named before",
      );
    }
    const bytes = storage.count * DTYPE_BYTES[storage.dtype];
    if (position + 8 + bytes > source.size) throw endsAt(source, position);
    const count = new DataView((await source.read(position, 8)).buffer)
      .getBigUint64(0, true);
    if (count !== BigInt(storage.stated)) {
      throw badCheckpoint(
        source.name,
        `storage ${
          brief(storage.key)
        } has ${count} elements, expected ${storage.stated}`,
      );
    }
    places.set(storage.key, position + 8);
    position += 8 + bytes;
  }
  for (const key of storages.keys()) {
    if (!places.has(key)) {
      throw badCheckpoint(source.name, `storage ${brief(key)} is not in it`);
    }
  }
  return places;
}

function endsAt(source: ByteSource, position: number): Error {
  return badCheckpoint(
    source.name,
    `it ends inside the storage at byte ${position}; download it again`,
  );
}

/** A tensor whose storage is checked against its checksum before it is used. */
function checkedTensor(
  tensor: CheckpointTensor,
  view: PickleTensor,
  entry: ZipEntry,
  checks: ZipChecks,
): CheckpointTensor {
  const isWhole = view.offset === 0 && tensor.bytes === entry.size &&
    isContiguous(view);
  return {
    ...tensor,
    async read(offset = 0, length = tensor.bytes - offset) {
      if (checks.isDone(entry)) return await tensor.read(offset, length);
      if (!isWhole || length !== entry.size) {
        // The checksum covers the whole storage, which is read through first.
        await checks.check(entry);
        return await tensor.read(offset, length);
      }
      const bytes = await tensor.read(offset, length);
      checks.checkContent(entry, bytes);
      return bytes;
    },
  };
}

function showValue(value: PickleValue): string {
  return typeof value === "object" && value !== null
    ? "something else"
    : brief(value);
}
