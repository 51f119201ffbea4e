/**
 * Turns what a pickle describes into named tensors: flattens nested dictionaries
 * and checks every view against its storage.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import type { ByteSource } from "../base/bytes.ts";
import {
  badCheckpoint,
  type CheckpointTensor,
  DTYPE_BYTES,
  MAX_TENSORS,
} from "./checkpoint.ts";
import { countElements, formatShape } from "../weights/dtype.ts";
import {
  PickleDict,
  PickleList,
  PickleObject,
  type PickleStorage,
  PickleTensor,
  type PickleValue,
  SPARSE_TENSOR,
} from "./pickle_values.ts";

/** Nesting accepted below the outermost dictionary. */
const MAX_DEPTH = 32;
/** The longest path accepted: the pickle stores a shared prefix once, paths repeat it. */
const MAX_PATH = 1000;
/** The most characters of all paths: a list may be referred to under many long keys. */
const MAX_PATHS = 16_000_000;
/** The most values of a tensor that stores fewer: above the largest weight known. */
const MAX_EXPANDED = 2 ** 26;
/** The most values in all. */
const MAX_VALUES = 1_000_000;

/** Tensors of a pickle by path, and how much else there was. */
export interface FlatPickle {
  /** By path: keys joined with dots. */
  readonly tensors: Map<string, PickleTensor>;
  /** Tensors inside sparse tensors, which are ignored as a whole. */
  readonly hidden: readonly PickleTensor[];
  /** How many values are not tensors. */
  readonly otherValues: number;
  /** Classes of objects that were ignored, each once. */
  readonly objects: readonly string[];
}

/**
 * Flattens nested dictionaries and lists.
 *
 * @param name what messages call the file
 * @throws {MasterWeaverError} `bad-checkpoint` where they nest too deep, hold too much, two tensors have one path, or one hides in an object that is ignored
 */
export function flatten(value: PickleValue, name: string): FlatPickle {
  const tensors = new Map<string, PickleTensor>();
  const objects = new Set<PickleObject>();
  let otherValues = 0;
  let visited = 0;
  let pathLength = 0;
  const walk = (value: PickleValue, path: string, depth: number): void => {
    // A value may be referred to from several places, even from inside itself.
    if (depth > MAX_DEPTH || ++visited > MAX_VALUES) {
      throw badCheckpoint(
        name,
        depth > MAX_DEPTH
          ? `its dictionaries nest deeper than ${MAX_DEPTH} at ${brief(path)}`
          : `it holds more than ${MAX_VALUES} values`,
      );
    }
    if (path.length > MAX_PATH) {
      throw badCheckpoint(name, `its name ${brief(path)} is too long`);
    }
    if (value instanceof PickleTensor) {
      if (tensors.has(path)) {
        throw badCheckpoint(name, `two tensors are called ${brief(path)}`);
      }
      pathLength += path.length;
      if (tensors.size === MAX_TENSORS || pathLength > MAX_PATHS) {
        throw badCheckpoint(
          name,
          tensors.size === MAX_TENSORS
            ? `it holds more than ${MAX_TENSORS} tensors`
            : `the names of its tensors are longer than ${MAX_PATHS} characters together`,
        );
      }
      tensors.set(path, value);
    } else if (value instanceof PickleDict || value instanceof PickleList) {
      const children = value instanceof PickleDict
        ? value.entries.entries()
        : value.items.entries();
      for (const [key, child] of children) {
        const isName = typeof key === "string" || typeof key === "number";
        if (isName && String(key).length <= MAX_PATH) {
          walk(child, path === "" ? `${key}` : `${path}.${key}`, depth + 1);
        } else otherValues++;
      }
    } else {
      if (value instanceof PickleObject) objects.add(value);
      otherValues++;
    }
  };
  walk(value, "", 0);
  const hidden = checkObjects(objects, tensors, name);
  const classes = new Set([...objects].map(({ name }) => name));
  return { tensors, hidden, otherValues, objects: [...classes].sort() };
}

/**
 * Looks for tensors inside ignored objects, which would be lost silently. Each
 * value is visited once, as objects may refer to each other.
 *
 * @returns those in sparse tensors: where one of these is needed, it is reported
 *   as missing
 */
function checkObjects(
  objects: ReadonlySet<PickleObject>,
  tensors: ReadonlyMap<string, PickleTensor>,
  name: string,
): PickleTensor[] {
  const hidden: PickleTensor[] = [];
  const seen = new Set(
    [...tensors.values()].map(({ storage }) => storage.key),
  );
  const visited = new Set<PickleValue>();
  for (const object of objects) {
    const waiting: PickleValue[] = [object];
    while (waiting.length > 0) {
      const value = waiting.pop()!;
      if (typeof value !== "object" || value === null || visited.has(value)) {
        continue;
      }
      visited.add(value);
      if (value instanceof PickleTensor && object.name === SPARSE_TENSOR) {
        hidden.push(value);
      } else if (
        value instanceof PickleTensor && !seen.has(value.storage.key)
      ) {
        throw badCheckpoint(
          name,
          `a tensor is inside an object of ${brief(object.name)}, which is ` +
            "not read; save the state dict alone, or as safetensors",
        );
      }
      for (const child of childrenOf(value)) waiting.push(child);
    }
  }
  return hidden;
}

function childrenOf(value: PickleValue): Iterable<PickleValue> {
  if (value instanceof PickleObject) return value.contents;
  if (value instanceof PickleList) return value.items;
  return value instanceof PickleDict ? value.entries.values() : [];
}

/** Where a storage's bytes start in a file. */
export type LocateStorage = (storage: PickleStorage) => number;

/**
 * Makes a tensor readable.
 *
 * @param source the file
 * @param name the tensor's path
 * @param tensor the view, not checked yet
 * @param locate gives where its storage starts; all of it is in the file
 * @throws {MasterWeaverError} `bad-checkpoint` where the view leaves its storage
 */
export function readableTensor(
  source: ByteSource,
  name: string,
  tensor: PickleTensor,
  locate: LocateStorage,
): CheckpointTensor {
  const { storage, offset, shape, stride } = tensor;
  const wrong = (what: string) =>
    badCheckpoint(source.name, `tensor ${brief(name)}: ${what}`);
  const count = countElements(shape);
  if (typeof count === "string") throw wrong(count);
  if (stride.length !== shape.length) {
    throw wrong(`it has ${stride.length} strides for ${shape.length} sizes`);
  }
  const span = count === 0
    ? 0
    : shape.reduce((end, size, i) => end + (size - 1) * stride[i], 1);
  // One value may stand for a whole dimension, as after `expand`. No saved weight
  // repeats values in another way; such strides, or unlimited expansion, could
  // ask for any amount of memory.
  const distinct = shape.reduce(
    (n, size, i) => stride[i] > 0 ? n * size : n,
    1,
  );
  const isExpanded = distinct < count && count <= MAX_EXPANDED;
  if (
    !(count <= span || isExpanded && distinct <= span) ||
    !(offset + span <= storage.count)
  ) {
    throw wrong(
      `its shape ${formatShape(shape)} with strides ${formatShape(stride)} ` +
        `from ${offset} does not fit its ${storage.count} stored elements`,
    );
  }
  const size = DTYPE_BYTES[storage.dtype];
  const bytes = count * size;
  const start = locate(storage) + offset * size;
  const inOrder = isContiguous(tensor);
  return {
    name,
    dtype: storage.dtype,
    shape,
    bytes,
    async read(from = 0, length = bytes - from) {
      const whole = [from, length].every((value) =>
        Number.isSafeInteger(value) && value >= 0 && value % size === 0
      );
      if (!whole || from + length > bytes) {
        throw new RangeError(
          `Cannot read ${length} bytes at ${from} of tensor ${name}: it has ${bytes}`,
        );
      }
      if (inOrder) return await source.read(start + from, length);
      const stored = await source.read(start, span * size);
      return gather(stored, tensor, size, from / size, length / size);
    },
  };
}

/** Whether a view's elements follow one another in row-major order. */
export function isContiguous(
  { shape, stride }: Pick<PickleTensor, "shape" | "stride">,
): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && stride[i] !== expected) return false;
    expected *= shape[i];
  }
  return true;
}

/** Picks `count` elements from the `first` on, in row-major order. */
function gather(
  stored: Uint8Array,
  { shape, stride }: PickleTensor,
  size: number,
  first: number,
  count: number,
): Uint8Array<ArrayBuffer> {
  const picked = new Uint8Array(count * size);
  const index = shape.map(() => 0);
  let rest = first;
  for (let i = shape.length - 1; i >= 0; i--) {
    index[i] = rest % shape[i];
    rest = Math.floor(rest / shape[i]);
  }
  let from = index.reduce((sum, at, i) => sum + at * stride[i], 0) * size;
  for (let to = 0; to < picked.length; to += size) {
    for (let byte = 0; byte < size; byte++) {
      picked[to + byte] = stored[from + byte];
    }
    // Counts up like an odometer, from the last dimension.
    for (let i = shape.length - 1; i >= 0; i--) {
      from += stride[i] * size;
      if (++index[i] < shape[i]) break;
      from -= shape[i] * stride[i] * size;
      index[i] = 0;
    }
  }
  return picked;
}
