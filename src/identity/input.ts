/**
 * Checks an identity that a script passes in, perhaps from a file.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { IdentityHashes, IdentityTokens } from "./identity.ts";

/**
 * What `generate` needs of an identity; its numbers may be plain lists, as in
 * JSON.
 *
 * @example
 * ```ts
 * import type { SavedIdentity } from "./input.ts";
 *
 * const identity = {
 *   tokens: Float32Array.of(0.5, 1),
 *   unconditional: Float32Array.of(0, 0),
 *   modelHash: "3c…",
 *   adapterHash: "f0…",
 * };
 * const saved: SavedIdentity = JSON.parse(JSON.stringify({
 *   ...identity,
 *   tokens: Array.from(identity.tokens),
 *   unconditional: Array.from(identity.unconditional),
 * }));
 * console.log(saved.tokens); // [0.5, 1]
 * ```
 */
export interface SavedIdentity extends IdentityHashes {
  /** (maxReferences · tokens, C) */
  readonly tokens: Float32Array | readonly number[];
  /** The same for all-zero references. */
  readonly unconditional: Float32Array | readonly number[];
}

/** What an identity of this model must have. */
export interface ExpectedIdentity extends IdentityHashes {
  /** Numbers in each of its two lists. */
  readonly length: number;
}

const AGAIN = "make it with encodeIdentity";

/**
 * Checks that an identity is this model's, and that its numbers are numbers.
 *
 * @param value what was given
 * @param expected what the model makes
 * @returns a copy of its numbers
 * @throws {MasterWeaverError} `bad-option` saying what is wrong and what to do
 */
export function checkIdentity(
  value: unknown,
  expected: ExpectedIdentity,
): IdentityTokens {
  if (typeof value !== "object" || value === null) {
    throw bad(`is ${value === null ? "null" : typeof value}`, AGAIN);
  }
  if (value instanceof Promise) {
    throw bad("is a promise", "write await before encodeIdentity");
  }
  const given: { [Key in keyof SavedIdentity]?: unknown } = value;
  checkHash("adapter", given.adapterHash, expected.adapterHash);
  checkHash("model", given.modelHash, expected.modelHash);
  return {
    tokens: numbers("tokens", given.tokens, expected.length),
    unconditional: numbers(
      "unconditional",
      given.unconditional,
      expected.length,
    ),
  };
}

function checkHash(
  what: "adapter" | "model",
  given: unknown,
  expected: string,
): void {
  if (given === expected) return;
  if (typeof given !== "string") {
    throw bad(
      `does not say which ${what} made it (no ${what}Hash)`,
      `${AGAIN}, and keep modelHash and adapterHash with its numbers`,
    );
  }
  const short = (hash: string) => hash.slice(0, 12);
  throw bad(
    `was made by another ${what} (${what}Hash ${
      short(given)
    }, this ${what} is ${short(expected)})`,
    "encode the references again with this model",
  );
}

/** A list of numbers as f32. */
function numbers(
  key: keyof IdentityTokens,
  value: unknown,
  length: number,
): Float32Array {
  if (!Array.isArray(value) && !isFloats(value)) {
    const what = value == null
      ? `${value}`
      : typeof value === "object"
      ? "an object"
      : `a ${typeof value}`;
    throw bad(
      `has ${key} that are ${what}, expected a Float32Array or a list of numbers`,
      `JSON keeps a Float32Array only as a list: save Array.from(identity.${key})`,
    );
  }
  if (value.length !== length) {
    throw bad(
      `has ${value.length} numbers as ${key}, expected ${length}`,
      AGAIN,
    );
  }
  const floats = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const number: unknown = value[i];
    floats[i] = typeof number === "number" ? number : NaN;
    if (Number.isFinite(floats[i])) continue;
    throw bad(
      `has ${
        String(number).slice(0, 40)
      } as number ${i} of ${key}, expected finite numbers`,
      AGAIN,
    );
  }
  return floats;
}

function isFloats(value: unknown): value is Float32Array | Float64Array {
  return value instanceof Float32Array || value instanceof Float64Array;
}

function bad(found: string, advice: string): MasterWeaverError {
  return new MasterWeaverError("bad-option", `Identity ${found}: ${advice}`);
}
