/**
 * Sizes of an attention, shared by its kernels.
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
  /** Text keys: the first of the S, all of them without an identity. */
  readonly textKeys: number;
  /** H */
  readonly heads: number;
  /** D */
  readonly width: number;
  /** Whether the other keys are attended to, with a softmax of their own. */
  readonly identity: boolean;
  /** Whether token t attends only to tokens 0..t. */
  readonly causal: boolean;
}
