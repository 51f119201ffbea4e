/**
 * Writes the pickle of a `torch.save` file: plain values and tensors, in the
 * instructions of protocol 2 that a restricted unpickler allows. The only code
 * it can name is that of tensors and ordered dictionaries.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import {
  PythonFloat,
  PythonOrderedDict,
  PythonTensor,
  PythonTuple,
  type PythonValue,
} from "./python_values.ts";

/** A pickle, and the tensors it describes. */
export interface Pickled {
  /** The pickle. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its tensors; the i-th has storage i. */
  readonly tensors: readonly PythonTensor[];
}

const MARK = 0x28;
const TUPLE = 0x74;
const REDUCE = 0x52;
const APPENDS = 0x65;
const SETITEMS = 0x75;
/** What BININT holds. */
const LEAST = -(2 ** 31), MOST = 2 ** 31 - 1;

/**
 * The pickle of a value.
 *
 * @throws {MasterWeaverError} `bad-option` for a number that is neither whole nor marked as a float, or over 32 bits
 * @example
 * ```ts
 * import { pickle } from "./pickle_writer.ts";
 * import { PythonFloat } from "./python_values.ts";
 *
 * // {"lr": 0.5}
 * const { bytes } = pickle(new Map([["lr", new PythonFloat(0.5)]]));
 * console.log(bytes.length); // 23
 * ```
 */
export function pickle(value: PythonValue): Pickled {
  const writer = new PickleWriter();
  writer.code(0x80, 2); // PROTO
  writer.value(value);
  writer.code(0x2e); // STOP
  return { bytes: writer.bytes(), tensors: writer.tensors };
}

class PickleWriter {
  readonly tensors: PythonTensor[] = [];
  readonly #bytes: number[] = [];

  code(...bytes: number[]): void {
    this.#bytes.push(...bytes);
  }

  value(value: PythonValue): void {
    if (value === null) return this.code(0x4e); // NONE
    if (value === true) return this.code(0x88); // NEWTRUE
    if (value === false) return this.code(0x89); // NEWFALSE
    if (typeof value === "number") return this.#integer(value);
    if (typeof value === "string") return this.#text(value);
    if (value instanceof PythonFloat) return this.#float(value.value);
    if (value instanceof PythonTuple) return this.#tuple(value.items);
    if (value instanceof PythonTensor) return this.#tensor(value);
    if (isDict(value)) return this.#dict(value);
    this.code(0x5d, MARK); // EMPTY_LIST
    for (const item of value) this.value(item);
    this.code(APPENDS);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes);
  }

  /** BINUNICODE */
  #text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.code(0x58, ...littleEndian(bytes.length), ...bytes);
  }

  /** BININT1 or BININT */
  #integer(value: number): void {
    if (!Number.isInteger(value) || value < LEAST || value > MOST) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot pickle ${value}: expected a whole number of 32 bits, or one marked as a float`,
      );
    }
    if (value >= 0 && value < 256) this.code(0x4b, value);
    else this.code(0x4a, ...littleEndian(value));
  }

  /** BINFLOAT, big endian */
  #float(value: number): void {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    this.code(0x47, ...new Uint8Array(view.buffer));
  }

  #tuple(items: readonly PythonValue[]): void {
    this.code(MARK);
    for (const item of items) this.value(item);
    this.code(TUPLE);
  }

  #dict(dict: ReadonlyMap<string | number, PythonValue>): void {
    if (dict instanceof PythonOrderedDict) this.#emptyOrderedDict();
    else this.code(0x7d); // EMPTY_DICT
    this.code(MARK);
    for (const [key, item] of dict) {
      this.value(key);
      this.value(item);
    }
    this.code(SETITEMS);
  }

  /** torch._utils._rebuild_tensor_v2(storage, 0, shape, stride, False, {}) */
  #tensor(tensor: PythonTensor): void {
    const { shape } = tensor;
    const count = shape.reduce((a, b) => a * b, 1);
    const stride = shape.map((_, i) =>
      shape.slice(i + 1).reduce((a, b) => a * b, 1)
    );
    const storage = this.tensors.push(tensor) - 1;
    this.#global("torch._utils", "_rebuild_tensor_v2");
    this.code(MARK);
    this.code(MARK);
    this.#text("storage");
    this.#global("torch", "FloatStorage");
    this.#text(`${storage}`);
    this.#text("cpu");
    this.#integer(count);
    this.code(TUPLE, 0x51); // BINPERSID
    this.#integer(0);
    this.#tuple(shape);
    this.#tuple(stride);
    this.code(0x89); // NEWFALSE
    this.#emptyOrderedDict();
    this.code(TUPLE, REDUCE);
  }

  #global(module: string, name: string): void {
    this.code(0x63, ...new TextEncoder().encode(`${module}\n${name}\n`));
  }

  #emptyOrderedDict(): void {
    this.#global("collections", "OrderedDict");
    this.code(0x29, REDUCE); // EMPTY_TUPLE
  }
}

function isDict(
  value: PythonValue,
): value is ReadonlyMap<string | number, PythonValue> {
  return value instanceof Map;
}

function littleEndian(value: number): number[] {
  return [value, value >>> 8, value >>> 16, value >>> 24].map((b) => b & 0xff);
}
