/**
 * Keeps what frozen networks computed, as long as that can be written: training
 * does not depend on it.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import type { FeatureKeeper } from "../../../src/train/loop.ts";

/** A keeper that tells once why it cannot write, and then keeps nothing more. */
export function tolerant(
  keeper: FeatureKeeper,
  warn: (line: string) => void,
): FeatureKeeper {
  let isOff = false;
  return {
    async put(kind, key, values) {
      if (isOff) return;
      try {
        await keeper.put(kind, key, values);
      } catch (error) {
        const isRefused = error instanceof MasterWeaverError &&
          error.code === "cannot-write";
        if (!isRefused) throw error;
        isOff = true;
        warn(`${error.message}; training goes on without keeping features`);
      }
    },
  };
}
