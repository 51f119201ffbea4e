/**
 * Encoded people that are used again: the least recently used are forgotten.
 *
 * @module
 */
import { sha256 } from "../../base/sha256.ts";
import type { EncodedIdentity, Person } from "./engine.ts";

/** How much is remembered. */
export interface CacheLimits {
  /** The most people. */
  readonly count: number;
  /** The most bytes of all. */
  readonly bytes: number;
}

/** The model that encodes people. */
export interface EncodingModel {
  /** Its hash. */
  readonly hash: string;
  /** Its identity adapter's hash; null where it has none. */
  readonly adapterHash: string | null;
}

/**
 * The name of an encoded person: photos, choices and model give always the same.
 *
 * @returns hexadecimal SHA-256
 */
export async function identityId(
  { photos, choices }: Person,
  { hash, adapterHash }: EncodingModel,
): Promise<string> {
  const given = Object.entries(choices)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => a < b ? -1 : 1);
  return await sha256(JSON.stringify([
    photos.map(({ hash }) => hash),
    given,
    hash,
    adapterHash,
  ]));
}

/** Remembers encoded people by id. */
export class IdentityCache {
  readonly #limits: CacheLimits;
  /** The least recently used first. */
  readonly #kept = new Map<string, EncodedIdentity>();
  #bytes = 0;

  /** An empty one. */
  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  /** The person of an id, where they are remembered. */
  get(id: string): EncodedIdentity | undefined {
    const found = this.#kept.get(id);
    if (found) {
      this.#kept.delete(id);
      this.#kept.set(id, found);
    }
    return found;
  }

  /** Remembers a person, and forgets others where there are too many. */
  add(identity: EncodedIdentity): void {
    this.#forget(identity.id);
    this.#kept.set(identity.id, identity);
    this.#bytes += bytesOf(identity);
    for (const id of this.#kept.keys()) {
      const { count, bytes } = this.#limits;
      if (this.#kept.size <= count && this.#bytes <= bytes) return;
      this.#forget(id);
    }
  }

  #forget(id: string): void {
    const known = this.#kept.get(id);
    if (!known) return;
    this.#kept.delete(id);
    this.#bytes -= bytesOf(known);
  }
}

function bytesOf({ identity, faces }: EncodedIdentity): number {
  const numbers = identity.tokens.length + identity.unconditional.length;
  return 4 * numbers +
    faces.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
