/**
 * The values a restricted unpickler makes: plain data, never code.
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

/** An object whose attributes are plain data, such as `argparse.Namespace`. */
export class PickleNamespace extends PickleDict {}

/**
 * An object of unknown code: its class or function, and its contents, so that a
 * tensor hidden in it is found.
 */
export class PickleObject {
  /** Such as `omegaconf.dictconfig.DictConfig`. */
  readonly name: string;
  /** Everything it was given: parameters, state, items. */
  readonly contents: PickleValue[];

  /** Describes an object. */
  constructor(name: string, contents: PickleValue[]) {
    this.name = name;
    this.contents = contents;
  }
}

/** The name given to sparse tensors, which list only their values other than 0. */
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
  /** A dict whose parameters are not items. */
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
  /** Not needed; whatever it is called with or set to is dropped. */
  | "ignored"
  | { readonly storage: CheckpointDtype | "untyped" }
  /** A `torch.dtype`; null where such tensors are not supported. */
  | { readonly dtype: CheckpointDtype | null; readonly name: string }
  /** A class or function of unknown code. */
  | { readonly inert: string };

/** A run of elements in the file that tensors are views of. */
export class PickleStorage {
  /** The name of its bytes in the file. */
  readonly key: string;
  /** Element type. */
  readonly dtype: CheckpointDtype;
  /** Number of elements. */
  readonly count: number;
  /** The number that the file states: bytes, where the storage has no type. */
  readonly stated: number;

  /** Describes a storage. */
  constructor(
    key: string,
    dtype: CheckpointDtype,
    count: number,
    stated: number = count,
  ) {
    this.key = key;
    this.dtype = dtype;
    this.count = count;
    this.stated = stated;
  }
}

/** A view of a storage; whoever reads it checks its numbers. */
export class PickleTensor {
  /** Where the elements are. */
  readonly storage: PickleStorage;
  /** First element in the storage. */
  readonly offset: number;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** For each dimension, elements from one index to the next. */
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
