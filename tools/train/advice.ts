/**
 * Rewrites the advice in the core's messages for whoever trains.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";

/** Advice of the core, and what is typed for it here. */
const FLAGS: readonly (readonly [core: RegExp, flags: string])[] = [
  [
    /\ba smaller image or fewer images at once\b/,
    "a smaller --resolution or --train-batch-size",
  ],
  [/\bwith a smaller image\b/, "with a smaller --resolution"],
  [
    /\bfewer samples a step, smaller images or f16\b/,
    "a smaller --train-batch-size or --resolution, or --mixed-precision fp16",
  ],
  [/\bdtype: "f16"/g, "--mixed-precision fp16"],
  [/\bdtype: "f32"/g, "--mixed-precision no"],
];

/** A message of the core with the flags of `tools/train.ts`. */
export function withTrainFlags(message: string): string {
  return FLAGS.reduce(
    (text, [core, flags]) => text.replace(core, flags),
    message,
  );
}

/**
 * Does some work; what the core advises when it fails names this tool's flags.
 *
 * @throws what the work throws
 */
export async function adviseFlags<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    const message = withTrainFlags(error.message);
    if (message === error.message) throw error;
    throw new MasterWeaverError(error.code, message, { cause: error });
  }
}
