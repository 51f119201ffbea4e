/**
 * Reads a component's config and checks every value.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Activation } from "../ops/activation.ts";

/** Reads a component's config, a JSON object, key by key. */
export class ConfigReader {
  readonly #values: Record<string, unknown>;
  readonly #name: string;

  /**
   * Reads from a parsed JSON value.
   *
   * @param value the config in the component's header
   * @param name used in messages, such as `unet`
   * @throws {MasterWeaverError} `bad-model` if it is not an object
   */
  constructor(value: unknown, name: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new MasterWeaverError(
        "bad-model",
        `The config of ${name} is not a JSON object; convert the model again`,
      );
    }
    this.#values = value as Record<string, unknown>;
    this.#name = name;
  }

  /** A whole number from `least` to 10⁶. */
  integer(key: string, fallback?: number, least = 1): number {
    const value = this.#values[key] ?? fallback;
    if (
      typeof value !== "number" || !Number.isInteger(value) || value < least ||
      value > 1e6
    ) {
      throw this.#wrong(key, `a whole number of ${least} or more`, value);
    }
    return value;
  }

  /** A finite number above 0. */
  positive(key: string, fallback?: number): number {
    const value = this.#values[key] ?? fallback;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) {
      throw this.#wrong(key, "a number above 0", value);
    }
    return value;
  }

  /** `true` or `false`. */
  boolean(key: string, fallback?: boolean): boolean {
    const value = this.#values[key] ?? fallback;
    if (typeof value !== "boolean") {
      throw this.#wrong(key, "true or false", value);
    }
    return value;
  }

  /** A list of whole numbers of 1 or more. */
  integers(key: string): number[] {
    const value = this.#values[key];
    if (
      !Array.isArray(value) || value.length === 0 || value.length > 16 ||
      !value.every((n) => Number.isInteger(n) && n > 0 && n <= 1e6)
    ) {
      throw this.#wrong(key, "a list of whole numbers", value);
    }
    return value;
  }

  /** A list of words, each one of `allowed`. */
  words<W extends string>(key: string, allowed: readonly W[]): W[] {
    const value = this.#values[key];
    if (
      !Array.isArray(value) || value.length > 16 ||
      !value.every((word) => allowed.includes(word))
    ) {
      throw this.#wrong(key, `a list of ${allowed.join(" | ")}`, value);
    }
    return value;
  }

  /** One of some words; the first where none is given. */
  word<W extends string>(key: string, allowed: readonly W[]): W {
    const value = this.#values[key] ?? allowed[0];
    const found = allowed.find((word) => word === value);
    if (found === undefined) throw this.#wrong(key, allowed.join(" | "), value);
    return found;
  }

  /** The activation a config names. */
  activation(key: string, fallback?: string): Activation {
    const value = this.#values[key] ?? fallback;
    const known: readonly Activation[] = ["silu", "gelu", "quick_gelu", "relu"];
    const found = known.find((name) => name === value);
    if (!found) throw this.#wrong(key, known.join(" | "), value);
    return found;
  }

  /** A value that the caller checks. */
  raw(key: string): unknown {
    return this.#values[key];
  }

  /** Requires a value, if given, to be the one that the code implements. */
  only(key: string, expected: unknown): void {
    const value = this.#values[key];
    if (value !== undefined && value !== null && value !== expected) {
      throw this.#wrong(key, JSON.stringify(expected), value);
    }
  }

  /** Like {@linkcode ConfigReader.only}, for a value that may be a list with one item per level. */
  onlyEach(key: string, expected: unknown): void {
    const value = this.#values[key];
    const isSame = Array.isArray(value) &&
      value.every((item) => item === expected);
    if (!isSame) this.only(key, expected);
  }

  #wrong(key: string, expected: string, value: unknown): MasterWeaverError {
    return new MasterWeaverError(
      "bad-model",
      `The config of ${this.#name} is not supported: ${key} is ${
        JSON.stringify(value)?.slice(0, 100)
      }, expected ${expected}`,
    );
  }
}
