/**
 * Encoded people by id, as far as they fit into memory.
 *
 * @module
 */
import type { EncodedIdentity } from "../engine/engine.ts";
import { IdentityCache } from "../engine/identity_cache.ts";
import { ApiError } from "../errors.ts";
import type { Identities } from "./studio.ts";

/** Encoded people; the least recently used are forgotten first. */
export class IdentityStore implements Identities {
  readonly #people: IdentityCache;

  /** An empty store. */
  constructor(maxBytes: number) {
    this.#people = new IdentityCache({ count: Infinity, bytes: maxBytes });
  }

  add(identity: EncodedIdentity): void {
    this.#people.add(identity);
  }

  get(id: string): EncodedIdentity {
    const identity = this.#people.get(id);
    if (identity) return identity;
    throw new ApiError(
      404,
      "not-found",
      `There is no identity ${
        id.slice(0, 64)
      }, or not any more: send its photos again`,
      { field: "identity" },
    );
  }
}
