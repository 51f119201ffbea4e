/**
 * Reads the numbers a table needs from a checkpoint's JSON config.
 *
 * @module
 */
import { brief } from "../../weights/brief.ts";
import { badCheckpoint } from "../checkpoint.ts";
import type { JsonObject } from "../../weights/weave.ts";

/** The largest size a config may state: no network here comes near. */
const MAX_SIZE = 1 << 20;
/** The longest list, and the largest number of layers. */
const MAX_LAYERS = 128;

/** A config being read; messages name the file and the key. */
export class CheckpointConfig {
  /** The content. */
  readonly json: JsonObject;
  readonly #name: string;

  /**
   * Wraps a config.
   *
   * @param json its content
   * @param name what messages call it
   */
  constructor(json: JsonObject, name: string) {
    this.json = json;
    this.#name = name;
  }

  /**
   * A size: a whole number from 1.
   *
   * @param key its key
   * @throws {MasterWeaverError} `bad-checkpoint`
   */
  size(key: string): number {
    const value = this.json[key];
    if (isSize(value)) return value;
    throw this.#wrong(key, `expected a whole number from 1 to ${MAX_SIZE}`);
  }

  /** A number of layers: {@linkcode size}, but not over 128. */
  layers(key: string): number {
    const value = this.size(key);
    if (value <= MAX_LAYERS) return value;
    throw this.#wrong(key, `expected at most ${MAX_LAYERS}`);
  }

  /** A list of sizes, not empty. */
  sizes(key: string): readonly number[] {
    const value = this.json[key];
    if (isList(value) && value.every(isSize)) return value as number[];
    throw this.#wrong(key, "expected a list of whole numbers from 1");
  }

  /** A list of `count` names, each one of those known. */
  names(
    key: string,
    known: readonly string[],
    count: number,
  ): readonly string[] {
    const value = this.json[key];
    if (
      isList(value) && value.length === count &&
      value.every((name) => known.includes(name as string))
    ) return value as string[];
    throw this.#wrong(key, `expected ${count} of ${known.join(", ")}`);
  }

  /**
   * Requires a value.
   *
   * @param what what the value, or another one, means
   */
  only(key: string, expected: unknown, what: string): void {
    const value = this.json[key] ?? expected;
    if (value === expected) return;
    throw this.#wrong(key, `expected ${brief(expected)} (${what})`);
  }

  /** The error of sizes that are each valid but make no network together. */
  wrongSizes(cause: Error): Error {
    return badCheckpoint(
      this.#name,
      `its sizes do not make a network (${cause.message})`,
      { cause },
    );
  }

  #wrong(key: string, expected: string): Error {
    return badCheckpoint(
      this.#name,
      `its ${key} is ${brief(this.json[key])}, ${expected}`,
    );
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 &&
    (value as number) <= MAX_SIZE;
}

function isList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length >= 1 &&
    value.length <= MAX_LAYERS;
}
