/**
 * What must be the same on every rank, and what all of them decide together.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Communicator } from "./communicator.ts";

/**
 * Requires that every rank was given the same, such as options or the names and
 * shapes of what is trained: ranks that differ would wait for each other forever,
 * or train different models.
 *
 * @param facts by name, each small and what JSON can say
 * @throws {MasterWeaverError} `distributed`, on every rank, naming the first fact and rank that differ
 */
export async function requireSame(
  communicator: Communicator,
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  const all = await communicator.gather(facts);
  const [first] = all;
  const names = new Set(all.flatMap((each) => Object.keys(each)));
  for (const name of names) {
    const expected = JSON.stringify(first[name]) ?? "not given";
    for (const [rank, each] of all.entries()) {
      const found = JSON.stringify(each[name]) ?? "not given";
      if (found === expected) continue;
      throw new MasterWeaverError(
        "distributed",
        `Cannot train together: ${name} is ${found} for rank ${rank}, but ${expected} for rank 0; start every rank with the same options and files`,
      );
    }
  }
}

/**
 * Whether any rank says so. Signals reach ranks at different moments: those that
 * are to stop after the same step ask this after each.
 */
export async function anyRank(
  communicator: Communicator,
  saysSo: boolean,
): Promise<boolean> {
  const count = Float32Array.of(saysSo ? 1 : 0);
  await communicator.allReduceSum(count);
  return count[0] > 0;
}
