/**
 * What a pickle may make besides plain values: dictionaries, storages and
 * tensors, described as data.
 *
 * @module
 */
import { brief } from "./brief.ts";
import { badCheckpoint, DTYPE_BYTES } from "./checkpoint.ts";
import { MAX_DIMENSIONS } from "./dtype.ts";
import {
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleStorage,
  PickleTensor,
  type PickleValue,
} from "./pickle_values.ts";

/** Makes objects from their parts; every wrong part is refused. */
export class PickleObjects {
  readonly #name: string;
  readonly #spend: (steps: number) => void;

  /**
   * Makes objects of one pickle.
   *
   * @param name what messages call the file
   * @param spend told of every item copied; throws where it is too many
   */
  constructor(name: string, spend: (steps: number) => void) {
    this.#name = name;
    this.#spend = spend;
  }

  /**
   * The result of a call: a dictionary, a tensor, a parameter, or nothing.
   *
   * @throws {MasterWeaverError} `bad-checkpoint` where it would be anything else
   */
  call(callee: PickleValue, parameters: PickleValue): PickleValue {
    const items = parameters instanceof PickleList ? parameters.items : [];
    const meaning = callee instanceof PickleGlobal ? callee.meaning : null;
    if (meaning === "nothing") return callee;
    if (meaning === "dict") return this.#dict(items);
    if (meaning === "parameter" && items[0] instanceof PickleTensor) {
      return items[0];
    }
    if (meaning === "tensor" && items.length >= 4) return this.#tensor(items);
    throw this.#bad("it calls something that makes no tensor or dictionary");
  }

  /**
   * Sets items of a dictionary: a key, its value, the next key, …
   *
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  setItems(target: PickleValue, items: readonly PickleValue[]): void {
    this.#spend(items.length);
    if (!(target instanceof PickleDict)) {
      throw this.#bad("it sets an item of something other than a dictionary");
    }
    if (items.length % 2 !== 0) {
      throw this.#bad("a dictionary key has no value");
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
      tag !== "storage" || typeof meaning !== "object" || meaning === null ||
      typeof key !== "string"
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

  /** OrderedDict() or OrderedDict([(key, value), …]) */
  #dict([pairs]: readonly PickleValue[]): PickleDict {
    const dict = new PickleDict();
    for (const pair of pairs instanceof PickleList ? pairs.items : []) {
      if (!(pair instanceof PickleList && pair.items.length === 2)) {
        throw this.#bad("a dictionary is made of something else than pairs");
      }
      this.setItems(dict, pair.items);
    }
    return dict;
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
    if (!(value instanceof PickleList)) throw this.#bad(`${what} is no list`);
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
