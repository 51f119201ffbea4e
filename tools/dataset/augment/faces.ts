/**
 * The faces of a dataset, and what there is of other appearances.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { cannotRead } from "../../../src/host/reasons.ts";
import type { DatasetLayout } from "../layout.ts";

/** Which face. */
export interface FaceName {
  /** Of the image. */
  readonly id: string;
  /** Of the face in it. */
  readonly face: string;
}

/** A face and its files as they are. */
export interface FoundFace extends FaceName {
  /** Changes when one of its files does. */
  readonly stamp: string;
  /** Whether others have put appearances of it into the dataset. */
  readonly isFilled: boolean;
}

/** What files begin with that are made here. */
const OWN = /^(changed|same)-/;

/** The file of a change. */
export function changedFile(change: string): string {
  return `changed-${change}.jpg`;
}

/** The file of another photo of the same person. */
export function sameFile({ id, face }: FaceName): string {
  return `same-${id}-${face}.jpg`;
}

/** A face as a text. */
export function nameOf({ id, face }: FaceName): string {
  return `${id}/${face}`;
}

/**
 * Lists faces, in the order of their names.
 *
 * @throws {MasterWeaverError} `cannot-read` where there is no dataset
 */
export function listFaces(layout: DatasetLayout): FoundFace[] {
  const root = layout.faces("").replace(/\/$/, "");
  const faces = namesIn(root).flatMap((id) =>
    (orEmpty(() => namesIn(layout.faces(id)))).flatMap((name) => {
      const [, face] = /^(.+)\.jpg$/.exec(name) ?? [];
      return face === undefined ? [] : [found(layout, { id, face })];
    })
  );
  if (faces.length > 0) return faces;
  throw new MasterWeaverError(
    "cannot-read",
    `Found no faces in ${root}: expected <id>/<face>.jpg; make the dataset first`,
  );
}

function found(layout: DatasetLayout, name: FaceName): FoundFace {
  const { id, face } = name;
  const files = [
    layout.face(id, face),
    layout.mask(id, face),
    layout.landmarks(id, face),
  ];
  const others = orEmpty(() => namesIn(layout.otherFaces(id, face)));
  return {
    ...name,
    stamp: files.map(stampOf).join(" "),
    isFilled: others.some((file) => !OWN.test(file)),
  };
}

function stampOf(path: string): string {
  try {
    const { size, mtime } = Deno.statSync(path);
    return `${size}-${mtime?.getTime() ?? 0}`;
  } catch {
    return "none";
  }
}

/** Removes what was made here for a face, but for some files. */
export function removeOthers(
  layout: DatasetLayout,
  { id, face }: FaceName,
  kept: ReadonlySet<string>,
): void {
  const folder = layout.otherFaces(id, face);
  for (const file of orEmpty(() => namesIn(folder))) {
    if (OWN.test(file) && !kept.has(file)) Deno.removeSync(`${folder}/${file}`);
  }
}

function orEmpty(list: () => string[]): string[] {
  try {
    return list();
  } catch (error) {
    if (error instanceof MasterWeaverError) return [];
    throw error;
  }
}

/** The names in a folder but for hidden ones, in order. */
function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => !name.startsWith(".")).toSorted();
  } catch (error) {
    throw cannotRead(folder, error);
  }
}
