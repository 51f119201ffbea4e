/**
 * The values a restricted unpickler makes: plain data, nothing that acts.
 *
 * @module
 */
import type { CheckpointDtype } from "./checkpoint.ts";

/** A value read from a pickle. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleStorage
  | PickleTensor;

/** A list or tuple. */
export class PickleList {
  /** The elements. */
  readonly items: PickleValue[];

  /** Wraps elements. */
  constructor(items: PickleValue[] = []) {
    this.items = items;
  }
}

/** A dict or OrderedDict, in the file's order. */
export class PickleDict {
  /** Values by key. */
  readonly entries: Map<PickleValue, PickleValue> = new Map();
}

/** One of the few names of Python code that are known; never run. */
export class PickleGlobal {
  /** What it stands for. */
  readonly meaning: GlobalMeaning;

  /** Stands for a known name. */
  constructor(meaning: GlobalMeaning) {
    this.meaning = meaning;
  }
}

/** What a known global stands for: a constructor, or a storage's type. */
export type GlobalMeaning =
  | "dict"
  | "tensor"
  | "parameter"
  /** A thing of no interest; whatever it is called with or set to is dropped. */
  | "nothing"
  | { readonly storage: CheckpointDtype | "untyped" };

/** A run of elements in the file that tensors are views of. */
export class PickleStorage {
  /** The name its bytes go by in the file. */
  readonly key: string;
  /** Element type. */
  readonly dtype: CheckpointDtype;
  /** Number of elements. */
  readonly count: number;

  /** Describes a storage. */
  constructor(key: string, dtype: CheckpointDtype, count: number) {
    this.key = key;
    this.dtype = dtype;
    this.count = count;
  }
}

/** A view of a storage; its numbers are checked by who reads it. */
export class PickleTensor {
  /** Where the elements are. */
  readonly storage: PickleStorage;
  /** First element in the storage. */
  readonly offset: number;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Elements from one index to the next, a dimension. */
  readonly stride: readonly number[];

  /** Describes a tensor. */
  constructor(
    storage: PickleStorage,
    offset: number,
    shape: readonly number[],
    stride: readonly number[],
  ) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.stride = stride;
  }
}

const STORAGES: Readonly<Record<string, CheckpointDtype>> = {
  FloatStorage: "F32",
  DoubleStorage: "F64",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

/**
 * What training programs save beside the weights: numbers of NumPy, and the
 * name of the class that wrote the file. Early `.ckpt` files of Stable
 * Diffusion have them.
 */
const NOTHING = [
  "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
  "numpy.core.multiarray.scalar",
  "numpy._core.multiarray.scalar",
  "numpy.dtype",
  "_codecs.encode",
];

/**
 * What a global of a pickle stands for.
 *
 * @param name module and name, as `collections.OrderedDict`
 * @returns nothing where it is not one of those allowed
 */
export function knownGlobal(name: string): PickleGlobal | undefined {
  switch (name) {
    case "collections.OrderedDict":
      return new PickleGlobal("dict");
    case "torch._utils._rebuild_tensor_v2":
      return new PickleGlobal("tensor");
    case "torch._utils._rebuild_parameter":
      return new PickleGlobal("parameter");
    case "torch.storage.UntypedStorage":
      return new PickleGlobal({ storage: "untyped" });
  }
  if (NOTHING.includes(name)) return new PickleGlobal("nothing");
  const match = /^torch\.(?:cuda\.)?([A-Za-z0-9]+)$/.exec(name);
  const dtype = match && Object.hasOwn(STORAGES, match[1])
    ? STORAGES[match[1]]
    : undefined;
  return dtype && new PickleGlobal({ storage: dtype });
}
