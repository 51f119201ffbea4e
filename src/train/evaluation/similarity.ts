/**
 * How alike two embeddings are, and where one stands among several.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";

/** Numbers of an embedding. */
export type Vector = ArrayLike<number>;

/**
 * The cosine of the angle between two embeddings, −1..1; 0 where one is all
 * zeros, which points nowhere.
 *
 * @throws {MasterWeaverError} `bad-option` where their lengths differ
 */
export function cosine(a: Vector, b: Vector): number {
  if (a.length !== b.length) {
    throw new MasterWeaverError(
      "bad-option",
      `Embeddings of ${a.length} and ${b.length} numbers cannot be compared, expected equal lengths`,
    );
  }
  let dot = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    squaresA += a[i] ** 2;
    squaresB += b[i] ** 2;
  }
  const norms = Math.sqrt(squaresA) * Math.sqrt(squaresB);
  return norms === 0 ? 0 : Math.max(-1, Math.min(1, dot / norms));
}

/**
 * The place of a score among others, counted from 1; what is equal to it comes
 * before it, so that a draw is not a win.
 */
export function rankAmong(score: number, others: readonly number[]): number {
  // Not "other >= score": a score that is no number must not come first.
  return 1 + others.filter((other) => !(score > other)).length;
}
