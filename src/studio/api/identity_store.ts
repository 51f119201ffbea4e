/**
 * Encoded people by id, as far as they fit into memory.
 *
 * @module
 */
import type { EncodedIdentity } from "../engine/engine.ts";
import { ApiError } from "../errors.ts";
import type { Identities } from "./studio.ts";

/** Bytes of a number in memory. */
const NUMBER_BYTES = 8;

/** Encoded people; the least recently used are forgotten first. */
export class IdentityStore implements Identities {
  readonly #maxBytes: number;
  /** The least recently used comes first. */
  readonly #people = new Map<string, EncodedIdentity>();
  #bytes = 0;

  /** An empty store. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(identity: EncodedIdentity): void {
    this.#remove(identity.id);
    this.#people.set(identity.id, identity);
    this.#bytes += bytesOf(identity);
    for (const id of [...this.#people.keys()]) {
      if (this.#bytes <= this.#maxBytes || id === identity.id) break;
      this.#remove(id);
    }
  }

  get(id: string): EncodedIdentity {
    const identity = this.#people.get(id);
    if (!identity) {
      throw new ApiError(
        404,
        "not-found",
        `There is no identity ${
          id.slice(0, 64)
        }, or not any more: send its photos again`,
        { field: "identity" },
      );
    }
    this.#people.delete(id);
    this.#people.set(id, identity);
    return identity;
  }

  #remove(id: string): void {
    const known = this.#people.get(id);
    if (!known) return;
    this.#people.delete(id);
    this.#bytes -= bytesOf(known);
  }
}

function bytesOf({ identity, faces }: EncodedIdentity): number {
  const numbers = identity.tokens.length + identity.unconditional.length;
  return faces.reduce(
    (sum, { bytes }) => sum + bytes.length,
    numbers * NUMBER_BYTES,
  );
}
