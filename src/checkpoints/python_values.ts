/**
 * Values of Python as they are written to a pickle.
 *
 * Numbers are whole numbers; {@linkcode PythonFloat} is any other. Arrays are
 * lists, maps are dictionaries.
 *
 * @module
 */

/** A value that can be written. */
export type PythonValue =
  | null
  | boolean
  | number
  | string
  | PythonFloat
  | PythonTuple
  | PythonTensor
  | readonly PythonValue[]
  | PythonDict;

/** A dictionary, in the order of its keys. */
export type PythonDict = ReadonlyMap<string | number, PythonValue>;

/** A `float`, which JavaScript does not tell from a whole number. */
export class PythonFloat {
  /** Its value. */
  readonly value: number;

  /** Marks a number. */
  constructor(value: number) {
    this.value = value;
  }
}

/** A `tuple`. */
export class PythonTuple {
  /** The elements. */
  readonly items: readonly PythonValue[];

  /** Marks elements. */
  constructor(items: readonly PythonValue[]) {
    this.items = items;
  }
}

/** A `collections.OrderedDict`, as PyTorch's state dicts are. */
export class PythonOrderedDict extends Map<string | number, PythonValue> {}

/** A tensor: f32, contiguous, with a storage of its own. */
export class PythonTensor {
  /** Dimensions, outermost first; none for a single number. */
  readonly shape: readonly number[];
  /** Its values in row-major order; called twice. */
  readonly floats: () => AsyncIterable<Float32Array<ArrayBuffer>>;

  /** Describes a tensor. */
  constructor(
    shape: readonly number[],
    floats: () => AsyncIterable<Float32Array<ArrayBuffer>>,
  ) {
    this.shape = shape;
    this.floats = floats;
  }

  /** A tensor of values at hand. */
  static of(
    shape: readonly number[],
    values: Float32Array<ArrayBuffer>,
  ): PythonTensor {
    return new PythonTensor(shape, async function* () {
      yield await Promise.resolve(values);
    });
  }
}

/** A dictionary of an object's entries. */
export function pythonDict(
  entries: Readonly<Record<string, PythonValue>>,
): PythonDict {
  return new Map(Object.entries(entries));
}
