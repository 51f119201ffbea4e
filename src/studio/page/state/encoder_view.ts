/**
 * The photos as the encoder sees them.
 *
 * @module
 */
import type { ImageResource } from "../../wire/resources.ts";
import type { Photos } from "./photos.ts";
import type { Run } from "./run.ts";

/** What the encoder sees, by asking it or by the run; empty while that is not known. */
export function encoderView(
  photos: Photos,
  run: Run | null,
): readonly ImageResource[] {
  const identity = photos.identity.value;
  if (identity?.state === "there") return identity.value.faces;
  if (!run) return [];
  const hashes = photos.list.value.map(({ hash }) => hash);
  const key = (photos: readonly string[], choices: object) =>
    JSON.stringify([photos, Object.entries(choices).sort()]);
  const isSame = key(hashes, photos.choices.value) ===
    key(run.job.photos, run.job.choices);
  return isSame ? run.references.value : [];
}
