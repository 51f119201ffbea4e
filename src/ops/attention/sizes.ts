/**
 * Sizes of an attention, as all of its kernels count them.
 *
 * @module
 */

/** Sizes of one attention. */
export interface AttentionSizes {
  /** B */
  readonly batch: number;
  /** T */
  readonly queries: number;
  /** S, all keys */
  readonly keys: number;
  /** Keys of the text, or all. */
  readonly textKeys: number;
  /** H */
  readonly heads: number;
  /** D */
  readonly width: number;
  /** Whether the other keys are looked at, and apart. */
  readonly identity: boolean;
  /** Whether token t sees only tokens 0..t. */
  readonly causal: boolean;
}
