/**
 * What a pickle may make besides plain values: dictionaries, storages and
 * tensors, described as data, and objects that are ignored.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { badCheckpoint, DTYPE_BYTES } from "./checkpoint.ts";
import { MAX_DIMENSIONS } from "../weights/dtype.ts";
import {
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleNamespace,
  PickleObject,
  PickleStorage,
  PickleTensor,
  type PickleValue,
} from "./pickle_values.ts";

/** Makes objects from their arguments; wrong ones are refused. */
export class PickleObjects {
  readonly #name: string;
  readonly #spend: (steps: number) => void;

  /**
   * Makes objects of one pickle.
   *
   * @param name what messages call the file
   * @param spend called with the number of items copied; throws where they are too many
   */
  constructor(name: string, spend: (steps: number) => void) {
    this.#name = name;
    this.#spend = spend;
  }

  /**
   * The result of a call: a dictionary, a list, a tensor, or an object that is
   * only described.
   *
   * @throws {MasterWeaverError} `bad-checkpoint` where it could be none of them
   */
  call(callee: PickleValue, parameters: PickleValue): PickleValue {
    const items = parameters instanceof PickleList ? parameters.items : [];
    if (callee instanceof PickleObject) {
      return new PickleObject(callee.name, [callee, parameters]);
    }
    const meaning = callee instanceof PickleGlobal ? callee.meaning : null;
    switch (meaning) {
      case "ignored":
        return callee;
      case "dict":
        return this.#dict(items);
      case "factory-dict":
        return new PickleDict();
      case "list":
        return this.#list(items);
      case "namespace":
        return new PickleNamespace();
      case "reconstruct":
        if (isDirect(items[0])) {
          return this.call(items[0], new PickleList(items.slice(1)));
        }
        break;
      case "parameter":
        if (items[0] instanceof PickleTensor) return items[0];
        break;
      case "tensor":
        if (items.length >= 4) return this.#tensor(items);
        break;
      case "typed-tensor":
        if (items.length >= 7) return this.#typedTensor(items);
        break;
      case "subclass":
        if (items.length >= 3 && isDirect(items[0])) {
          return this.call(items[0], items[2]);
        }
        break;
    }
    if (typeof meaning === "object" && meaning && "inert" in meaning) {
      return new PickleObject(meaning.inert, [parameters]);
    }
    throw this.#bad("it calls something that makes no tensor or dictionary");
  }

  /**
   * Sets the state of an object.
   *
   * @throws {MasterWeaverError} `bad-checkpoint` where a value has none
   */
  setState(target: PickleValue, state: PickleValue): void {
    if (target instanceof PickleObject) {
      this.#spend(1);
      target.contents.push(state);
      return;
    }
    if (target instanceof PickleNamespace && state instanceof PickleDict) {
      this.#spend(state.entries.size);
      for (const [key, value] of state.entries) target.entries.set(key, value);
      return;
    }
    // PyTorch's state_dict sets _metadata on its OrderedDict.
    if (target instanceof PickleDict && state instanceof PickleDict) return;
    if (target instanceof PickleGlobal && target.meaning === "ignored") return;
    throw this.#bad("it sets the state of something other than a dict");
  }

  /**
   * Appends to a list, or adds to a set.
   *
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  append(target: PickleValue, items: readonly PickleValue[]): void {
    this.#spend(items.length);
    const list = target instanceof PickleList
      ? target.items
      : target instanceof PickleObject
      ? target.contents
      : undefined;
    if (!list) throw this.#bad("it appends to something other than a list");
    for (const item of items) list.push(item);
  }

  /**
   * Sets items of a dictionary: a key, its value, the next key, …
   *
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  setItems(target: PickleValue, items: readonly PickleValue[]): void {
    this.#spend(items.length);
    if (items.length % 2 !== 0) {
      throw this.#bad("a dictionary key has no value");
    }
    if (target instanceof PickleObject) {
      for (const item of items) target.contents.push(item);
      return;
    }
    if (!(target instanceof PickleDict)) {
      throw this.#bad("it sets an item of something other than a dictionary");
    }
    for (let i = 0; i < items.length; i += 2) {
      target.entries.set(items[i], items[i + 1]);
    }
  }

  /**
   * The storage of a persistent id: ("storage", type, key, location, count)
   * and, in old files, a view.
   *
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  storage(id: PickleValue): PickleStorage {
    const [tag, type, key, , count, view] = id instanceof PickleList
      ? id.items
      : [];
    const meaning = type instanceof PickleGlobal ? type.meaning : null;
    if (
      typeof meaning === "object" && meaning && "inert" in meaning &&
      tag === "storage"
    ) {
      throw this.#bad(
        `storage ${brief(key)} is a ${
          brief(meaning.inert)
        }, whose values are not read`,
      );
    }
    if (
      tag !== "storage" || typeof meaning !== "object" || meaning === null ||
      !("storage" in meaning) || typeof key !== "string"
    ) {
      throw this.#bad("it refers to something other than a storage");
    }
    if (view !== undefined && view !== null) {
      throw this.#bad(
        `storage ${brief(key)} is a view of another, as PyTorch before 0.4 ` +
          "wrote: load and save it with a newer one",
      );
    }
    const dtype = meaning.storage === "untyped" ? "U8" : meaning.storage;
    const elements = this.#whole(count, `storage ${brief(key)}'s size`);
    if (!Number.isSafeInteger(elements * DTYPE_BYTES[dtype])) {
      throw this.#bad(`storage ${brief(key)} has ${elements} elements`);
    }
    return new PickleStorage(key, dtype, elements);
  }

  /** dict(), dict(another) or dict([(key, value), …]) */
  #dict([content]: readonly PickleValue[]): PickleDict {
    const dict = new PickleDict();
    if (content instanceof PickleDict) {
      this.#spend(content.entries.size);
      for (const [key, value] of content.entries) dict.entries.set(key, value);
    }
    for (const pair of content instanceof PickleList ? content.items : []) {
      if (!(pair instanceof PickleList && pair.items.length === 2)) {
        throw this.#bad("a dictionary is made of something other than pairs");
      }
      this.setItems(dict, pair.items);
    }
    return dict;
  }

  /** set([…]), torch.Size((…)), deque(): a list of what they are given. */
  #list([content]: readonly PickleValue[]): PickleList {
    if (!(content instanceof PickleList)) return new PickleList();
    this.#spend(content.items.length);
    return new PickleList([...content.items]);
  }

  /** As {@linkcode PickleObjects.#tensor}, with hooks, dtype and metadata. */
  #typedTensor(items: readonly PickleValue[]): PickleTensor {
    const [storage, , , , , , type] = items;
    const meaning = type instanceof PickleGlobal ? type.meaning : null;
    if (
      typeof meaning !== "object" || meaning === null || !("dtype" in meaning)
    ) throw this.#bad("a tensor has no dtype");
    if (meaning.dtype === null) {
      throw this.#bad(
        `a tensor holds ${meaning.name}, expected one of ${
          Object.keys(DTYPE_BYTES).join(", ")
        }`,
      );
    }
    if (!(storage instanceof PickleStorage)) {
      throw this.#bad("a tensor has no storage");
    }
    const { key, count, stated } = storage;
    const elements = count * DTYPE_BYTES[storage.dtype] /
      DTYPE_BYTES[meaning.dtype];
    if (!Number.isInteger(elements)) {
      throw this.#bad(`storage ${brief(key)} ends inside an element`);
    }
    const typed = new PickleStorage(key, meaning.dtype, elements, stated);
    return this.#tensor([typed, ...items.slice(1)]);
  }

  /** (storage, offset, shape, stride, requires_grad, hooks, …) */
  #tensor(items: readonly PickleValue[]): PickleTensor {
    const [storage, offset, shape, stride] = items;
    if (!(storage instanceof PickleStorage)) {
      throw this.#bad("a tensor has no storage");
    }
    return new PickleTensor(
      storage,
      this.#whole(offset, "a tensor's offset"),
      this.#sizes(shape, "a tensor's shape"),
      this.#sizes(stride, "a tensor's strides"),
    );
  }

  #sizes(value: PickleValue, what: string): number[] {
    if (!(value instanceof PickleList)) {
      throw this.#bad(`${what} is not a list`);
    }
    if (value.items.length > MAX_DIMENSIONS) {
      throw this.#bad(
        `${what} has ${value.items.length} dimensions, at most ${MAX_DIMENSIONS} are allowed`,
      );
    }
    return value.items.map((size) => this.#whole(size, what));
  }

  #whole(value: PickleValue, what: string): number {
    if (typeof value === "number" && Number.isSafeInteger(value)) {
      if (value >= 0) return value;
    }
    throw this.#bad(
      `${what} has ${brief(value)}, expected a whole number from 0`,
    );
  }

  #bad(what: string): Error {
    return badCheckpoint(this.#name, what);
  }
}

/** Whether calling it calls nothing else; a list may hold itself, so calls could go on forever. */
function isDirect(callee: PickleValue): boolean {
  return callee instanceof PickleGlobal && callee.meaning !== "reconstruct" &&
    callee.meaning !== "subclass";
}
