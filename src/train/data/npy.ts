/**
 * Reads NumPy's `.npy` files of plain numbers. Nothing in one is executed: its
 * header is read as the one dictionary that NumPy writes, and objects, which are
 * pickled programs, are refused.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";

/** An array of a `.npy` file. */
export interface NpyArray {
  /** The size of each axis. */
  readonly shape: readonly number[];
  /** The values as f64, row by row (the last axis changes fastest). */
  readonly values: Float64Array;
}

/** What a file's dictionary says. */
interface Header {
  readonly descr: string;
  readonly fortran: boolean;
  readonly shape: readonly number[];
}

/** An element type: bytes of an element, and how one is read. */
interface ElementType {
  readonly bytes: number;
  readonly read: (view: DataView, offset: number) => number;
}

/** The element types that are read, little-endian. */
const TYPES: Readonly<Record<string, ElementType>> = {
  "<f4": { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  "<f8": { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  "<i4": { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  "<i8": { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
};

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Far more than the header of a plain array takes. */
const MAX_HEADER = 65_536;

/**
 * Reads a `.npy` file.
 *
 * @param file the whole file
 * @param name what messages call it
 * @param shape the shape that it must have
 * @throws {MasterWeaverError} `bad-data` for another shape, for values that are
 *   not finite or not f4, f8, i4 or i8, and for a file that is cut or damaged
 */
export function readNpy(
  file: Uint8Array,
  name: string,
  shape: readonly number[],
): NpyArray {
  const { dictionary, dataStart } = splitHeader(file, name);
  const header = readHeader(dictionary, name);
  const type = elementType(header.descr, name);
  if (`${header.shape}` !== `${shape}`) {
    refuse(name, `has shape ${tuple(header.shape)}, expected ${tuple(shape)}`);
  }
  const count = shape.reduce((product, size) => product * size, 1);
  const found = file.length - dataStart;
  if (found !== count * type.bytes) {
    refuse(
      name,
      `has ${found} bytes of values, expected ${
        count * type.bytes
      } for ${count} of type ${header.descr}`,
    );
  }
  const view = new DataView(file.buffer, file.byteOffset + dataStart, found);
  const stored = Float64Array.from(
    { length: count },
    (_, i) => type.read(view, i * type.bytes),
  );
  const values = header.fortran ? rowMajor(stored, shape) : stored;
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) refuse(name, `has the value ${values[wrong]} at ${wrong}`);
  return { shape, values };
}

/** The dictionary's text, and where the values start. */
function splitHeader(
  file: Uint8Array,
  name: string,
): { dictionary: string; dataStart: number } {
  if (MAGIC.some((byte, i) => file[i] !== byte)) {
    refuse(name, "does not start as a .npy file does");
  }
  const major = file[6];
  if (!(major >= 1 && major <= 3)) {
    refuse(name, `is of version ${major ?? "none"}, expected 1, 2 or 3`);
  }
  const start = major === 1 ? 10 : 12;
  if (file.length < start) refuse(name, "is cut off in its header");
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const length = major === 1
    ? view.getUint16(8, true)
    : view.getUint32(8, true);
  if (length > MAX_HEADER) {
    refuse(
      name,
      `has a header of ${length} bytes, expected ${MAX_HEADER} at most`,
    );
  }
  if (start + length > file.length) refuse(name, "is cut off in its header");
  const bytes = file.subarray(start, start + length);
  // What a plain array's header holds is ASCII in every version.
  const dictionary = String.fromCharCode(...bytes);
  return { dictionary, dataStart: start + length };
}

/** A key with its value, and the comma after it. */
const ENTRY =
  /^\s*(['"])(\w+)\1\s*:\s*(?:(['"])([^'"\\]*)\3|(True|False)|\(([\d\s,]*)\)|(\[.*\]))\s*(,|$)/;

/** Reads the dictionary: exactly the three entries, in any order. */
function readHeader(dictionary: string, name: string): Header {
  const inside = /^\s*\{([\s\S]*)\}\s*$/.exec(dictionary)?.[1];
  if (inside === undefined) refuse(name, "has no dictionary in its header");
  const found = new Map<string, string | boolean | readonly number[]>();
  let rest = inside.trim();
  while (rest !== "") {
    const entry = ENTRY.exec(rest);
    if (entry === null) {
      refuse(name, `has a header that is not understood: ${short(rest)}`);
    }
    const [all, , key, , text, truth, sizes, list] = entry;
    if (list !== undefined) {
      refuse(name, "holds records of several fields, expected plain numbers");
    }
    if (found.has(key)) refuse(name, `names ${key} twice in its header`);
    found.set(
      key,
      text ?? (truth === undefined ? shapeOf(sizes, name) : truth === "True"),
    );
    rest = rest.slice(all.length).trim();
  }
  const descr = found.get("descr");
  const fortran = found.get("fortran_order");
  const shape = found.get("shape");
  if (
    found.size !== 3 || typeof descr !== "string" ||
    typeof fortran !== "boolean" || !Array.isArray(shape)
  ) {
    refuse(
      name,
      "has another header than descr (a text), fortran_order (True or False) and shape (a tuple)",
    );
  }
  return { descr, fortran, shape };
}

function shapeOf(sizes: string, name: string): readonly number[] {
  const match = /^\s*(?:(\d+\s*,\s*)*\d+\s*,?)?\s*$/.test(sizes);
  const shape = (sizes.match(/\d+/g) ?? []).map(Number);
  if (!match || shape.some((size) => !Number.isSafeInteger(size))) {
    refuse(name, `has a shape that is not understood: (${short(sizes)})`);
  }
  return shape;
}

function elementType(descr: string, name: string): ElementType {
  const type = TYPES[descr];
  if (type !== undefined) return type;
  if (/O/.test(descr)) {
    refuse(
      name,
      "holds pickled objects, which are programs and never run here: save the numbers alone, with allow_pickle=False",
    );
  }
  refuse(
    name,
    `is of type ${short(descr)}, expected ${Object.keys(TYPES).join(", ")}`,
  );
}

/** Values of Fortran's order, whose first axis changes fastest, put row by row. */
function rowMajor(
  stored: Float64Array,
  shape: readonly number[],
): Float64Array {
  const values = new Float64Array(stored.length);
  const index = shape.map(() => 0);
  for (let i = 0; i < stored.length; i++) {
    values[index.reduce((at, x, axis) => at * shape[axis] + x, 0)] = stored[i];
    for (let axis = 0; axis < shape.length; axis++) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return values;
}

function tuple(shape: readonly number[]): string {
  return `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
}

function short(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function refuse(name: string, what: string): never {
  throw new MasterWeaverError("bad-data", `Landmarks file ${name} ${what}`);
}
