/**
 * What measures images, as a component: the projections of a whole CLIP, and
 * the mini model's identity head. No image is made with it.
 *
 * @module
 */
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open.ts";
import { unwrapped } from "../../src/checkpoints/recognise.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import {
  evaluationSizes,
  evaluationTable,
  isIdentityHead,
} from "../../src/checkpoints/tables/evaluation.ts";
import { FileSource } from "../../src/host/files.ts";
import { EVALUATION } from "../../src/weights/components.ts";
import { type Component, networkComponent } from "./component.ts";

/** The identity head's file in a model's folder. */
export const IDENTITY_HEAD = "id_head.safetensors";

/**
 * The evaluation of a CLIP; undefined where its files hold one tower alone and
 * there is no identity head.
 *
 * @param clip the weight files of the image encoder
 * @param head the identity head's file, where there is one
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function evaluationComponent(
  clip: readonly string[],
  head?: string,
): Promise<Component | undefined> {
  await using stack = new AsyncDisposableStack();
  const open = async (file: string): Promise<Checkpoint> =>
    unwrapped(await openCheckpoint(stack.use(await FileSource.open(file))));
  const files = [...clip];
  const checkpoints: Checkpoint[] = [];
  for (const file of clip) checkpoints.push(await open(file));
  if (head !== undefined) {
    const opened = await open(head);
    if (isIdentityHead(opened)) {
      files.push(head);
      checkpoints.push(opened);
    }
  }
  const config = evaluationSizes(checkpoints);
  if (config === undefined) return;
  return networkComponent({
    output: EVALUATION,
    files,
    config,
    table: () =>
      evaluationTable(new CheckpointConfig(config, "the sizes of its tensors")),
  });
}
