/**
 * All images that a run reads.
 *
 * @module
 */
import { type AskedControls, readControls } from "./controls.ts";
import { type Photo, readOptionalPhoto, readPhotos } from "./photos.ts";
import type { Task } from "./task.ts";

/** The images that a run reads, and what they are for. */
export interface Inputs {
  /** The reference photos. */
  readonly photos: readonly Photo[];
  /** The image to start from. */
  readonly initImage?: Photo;
  /** What of it is repainted. */
  readonly mask?: Photo;
  /** What ControlNets see. */
  readonly controls: AskedControls;
}

/**
 * Reads them.
 *
 * @throws {UsageError} where ControlNets and their images do not go together
 * @throws {MasterWeaverError} `cannot-read`, `bad-image`, `bad-option`
 */
export async function readInputs(task: Task): Promise<Inputs> {
  const { ref, initImage, mask } = task.flags;
  const photos = await readPhotos(ref);
  return {
    photos,
    initImage: await readOptionalPhoto(initImage),
    mask: await readOptionalPhoto(mask),
    controls: await readControls(task, photos),
  };
}
