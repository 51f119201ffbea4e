/**
 * Writes the pickle of a `torch.save` file: dictionaries of tensors, in the
 * instructions of protocol 2 that a restricted unpickler allows.
 *
 * @module
 */

/** A tensor to describe; it is f32, contiguous, and has its own storage. */
export interface PickledTensor {
  /** Its name in its dictionary. */
  readonly name: string;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
}

/** A dictionary of tensors, and its name in the outermost dictionary. */
export interface PickledDict {
  /** Its name. */
  readonly name: string;
  /** Its tensors, in order. */
  readonly tensors: readonly PickledTensor[];
}

const MARK = 0x28;
const TUPLE = 0x74;
const REDUCE = 0x52;
const SETITEMS = 0x75;

/**
 * The pickle of a dictionary of dictionaries of tensors. Storages are numbered
 * across all of them, from 0.
 *
 * @param dicts the dictionaries, in order
 */
export function pickleTensors(
  dicts: readonly PickledDict[],
): Uint8Array<ArrayBuffer> {
  const out = new PickleBytes();
  out.code(0x80, 2, 0x7d, MARK); // PROTO, EMPTY_DICT
  let storage = 0;
  for (const { name, tensors } of dicts) {
    out.text(name);
    out.emptyOrderedDict();
    out.code(MARK);
    for (const tensor of tensors) {
      out.text(tensor.name);
      writeTensor(out, tensor.shape, storage++);
    }
    out.code(SETITEMS);
  }
  out.code(SETITEMS, 0x2e); // STOP
  return out.bytes();
}

/** torch._utils._rebuild_tensor_v2(storage, 0, shape, stride, False, {}) */
function writeTensor(
  out: PickleBytes,
  shape: readonly number[],
  storage: number,
): void {
  const count = shape.reduce((a, b) => a * b, 1);
  const stride = shape.map((_, i) =>
    shape.slice(i + 1).reduce((a, b) => a * b, 1)
  );
  out.global("torch._utils", "_rebuild_tensor_v2");
  out.code(MARK);
  out.code(MARK);
  out.text("storage");
  out.global("torch", "FloatStorage");
  out.text(`${storage}`);
  out.text("cpu");
  out.integer(count);
  out.code(TUPLE, 0x51); // BINPERSID
  out.integer(0);
  out.tuple(shape);
  out.tuple(stride);
  out.code(0x89); // NEWFALSE
  out.emptyOrderedDict();
  out.code(TUPLE, REDUCE);
}

class PickleBytes {
  readonly #bytes: number[] = [];

  code(...bytes: number[]): void {
    this.#bytes.push(...bytes);
  }

  /** BINUNICODE */
  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.code(0x58, ...littleEndian(bytes.length), ...bytes);
  }

  /** BININT1 or BININT: up to 2³¹ − 1, which no tensor here comes near. */
  integer(value: number): void {
    if (value < 256) this.code(0x4b, value);
    else this.code(0x4a, ...littleEndian(value));
  }

  tuple(values: readonly number[]): void {
    this.code(MARK);
    for (const value of values) this.integer(value);
    this.code(TUPLE);
  }

  global(module: string, name: string): void {
    this.code(0x63, ...new TextEncoder().encode(`${module}\n${name}\n`));
  }

  emptyOrderedDict(): void {
    this.global("collections", "OrderedDict");
    this.code(0x29, REDUCE); // EMPTY_TUPLE
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes);
  }
}

function littleEndian(value: number): number[] {
  return [value, value >>> 8, value >>> 16, value >>> 24].map((b) => b & 0xff);
}
