/**
 * Finds faces of one person among the photos of a folder.
 *
 * @module
 */
import { dirname } from "node:path";
import type { FaceName } from "./faces.ts";
import { nameOf } from "./faces.ts";

/** A face and its vector, of length 1. */
export interface EmbeddedFace<F extends FaceName> {
  readonly face: F;
  readonly vector: Float32Array;
}

/** Most other photos of a person that a face gets. */
const MOST = 8;

/**
 * The faces of each folder that photos come from, where it has several photos.
 *
 * @param files where photos were, by the image's id
 */
export function byFolder<F extends FaceName>(
  faces: readonly F[],
  files: ReadonlyMap<string, string>,
): F[][] {
  const folders = new Map<string, F[]>();
  for (const face of faces) {
    const file = files.get(face.id);
    if (file === undefined) continue;
    const folder = dirname(file);
    folders.set(folder, [...folders.get(folder) ?? [], face]);
  }
  return [...folders.values()]
    .filter((group) => new Set(group.map(({ id }) => id)).size > 1);
}

/** Who is the same as whom, and how alike all were. */
export interface Matches {
  /** The most alike faces in other photos, by name. */
  readonly same: ReadonlyMap<string, readonly FaceName[]>;
  /** Cosine similarities of all pairs of photos, ascending. */
  readonly similarities: Float32Array;
}

/**
 * Matches the faces of a folder.
 *
 * @param threshold least cosine similarity of two faces of a person
 */
export function matchFaces<F extends FaceName>(
  faces: readonly EmbeddedFace<F>[],
  threshold: number,
): Matches {
  const similarities: number[] = [];
  const found = new Map<string, { face: F; similarity: number }[]>(
    faces.map(({ face }) => [nameOf(face), []]),
  );
  for (const [i, a] of faces.entries()) {
    for (const b of faces.slice(i + 1)) {
      if (a.face.id === b.face.id) continue;
      const similarity = dot(a.vector, b.vector);
      similarities.push(similarity);
      if (similarity < threshold) continue;
      found.get(nameOf(a.face))!.push({ face: b.face, similarity });
      found.get(nameOf(b.face))!.push({ face: a.face, similarity });
    }
  }
  const same = new Map([...found].map(([name, others]) => [
    name,
    others.toSorted((a, b) => b.similarity - a.similarity)
      .slice(0, MOST).map(({ face: { id, face } }) => ({ id, face })),
  ]));
  return { same, similarities: Float32Array.from(similarities).toSorted() };
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
