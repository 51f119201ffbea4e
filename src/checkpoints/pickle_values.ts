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
  | PickleObject
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

/** An object whose attributes are plain data, as `argparse.Namespace`. */
export class PickleNamespace extends PickleDict {}

/**
 * An object of code that is not known here: its class or function, and what it
 * was made of, so that it can be told whether a tensor hides in it.
 */
export class PickleObject {
  /** Such as `omegaconf.dictconfig.DictConfig`. */
  readonly name: string;
  /** All it was given: parameters, state, items. */
  readonly parts: PickleValue[];

  /** Describes an object. */
  constructor(name: string, parts: PickleValue[]) {
    this.name = name;
    this.parts = parts;
  }
}

/** What a tensor that lists only its values other than 0 goes by. */
export const SPARSE_TENSOR = "torch.sparse_tensor";

/** A name of Python code, which is never run. */
export class PickleGlobal {
  /** What it stands for. */
  readonly meaning: GlobalMeaning;

  /** Stands for a name. */
  constructor(meaning: GlobalMeaning) {
    this.meaning = meaning;
  }
}

/** What a global stands for: a constructor, a type, or an inert object's class. */
export type GlobalMeaning =
  | "dict"
  /** A dict whose parameters are no items. */
  | "factory-dict"
  /** A list, tuple or set. */
  | "list"
  | "namespace"
  | "tensor"
  /** A tensor whose storage has no type. */
  | "typed-tensor"
  | "parameter"
  /** A tensor with attributes of its own, which are dropped. */
  | "subclass"
  /** Makes an object of the class it is given. */
  | "reconstruct"
  /** A thing of no interest; whatever it is called with or set to is dropped. */
  | "nothing"
  | { readonly storage: CheckpointDtype | "untyped" }
  /** A `torch.dtype`; null where such tensors are not read. */
  | { readonly dtype: CheckpointDtype | null; readonly name: string }
  /** A class or function of code that is not known here. */
  | { readonly inert: string };

/** A run of elements in the file that tensors are views of. */
export class PickleStorage {
  /** The name its bytes go by in the file. */
  readonly key: string;
  /** Element type. */
  readonly dtype: CheckpointDtype;
  /** Number of elements. */
  readonly count: number;
  /** The number that the file states: of bytes, where it knows no type. */
  readonly stated: number;

  /** Describes a storage. */
  constructor(
    key: string,
    dtype: CheckpointDtype,
    count: number,
    stated = count,
  ) {
    this.key = key;
    this.dtype = dtype;
    this.count = count;
    this.stated = stated;
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
