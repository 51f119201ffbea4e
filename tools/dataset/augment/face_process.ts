/**
 * A process that writes other appearances of faces; {@linkcode ../augment.ts}
 * starts it.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { encodeJpeg } from "../../../src/host/codecs/codec.ts";
import type { Image } from "../../../src/image/image.ts";
import { DatasetLayout } from "../layout.ts";
import { answerJobs } from "../processes.ts";
import { Random } from "../random.ts";
import { writeWhole } from "../whole_file.ts";
import { changeFace, CHANGES } from "./changes.ts";
import { readFace, readMasked } from "./face_files.ts";
import {
  changedFile,
  type FaceName,
  nameOf,
  removeOthers,
  sameFile,
} from "./faces.ts";

/** Where and how to change faces. */
export interface FaceSetup {
  /** The dataset's root. */
  readonly root: string;
  readonly seed: number;
}

/** Which face, and other photos of the same person. */
export interface FaceJob extends FaceName {
  /** Where there is none, the face itself is changed. */
  readonly same: readonly FaceName[];
}

/** The files that it has now, or what is wrong with it. */
export type FaceAnswer =
  | { readonly files: readonly string[] }
  | { readonly fault: string };

const JPEG_QUALITY = 95;

async function write(
  layout: DatasetLayout,
  seed: number,
  job: FaceJob,
): Promise<string[]> {
  const files: string[] = [];
  const add = (name: string, image: Image) => {
    const path = `${layout.otherFaces(job.id, job.face)}/${name}`;
    writeWhole(path, encodeJpeg(image, "", JPEG_QUALITY));
    files.push(name);
  };
  for (const other of job.same) {
    add(sameFile(other), await readMasked(layout, other));
  }
  if (job.same.length === 0) {
    const face = await readFace(layout, job);
    for (const change of CHANGES) {
      const random = Random.of(`${seed} ${nameOf(job)} ${change}`);
      const image = changeFace(face, change, random);
      if (image) add(changedFile(change), image);
    }
  }
  removeOthers(layout, job, new Set(files));
  return files;
}

if (import.meta.main) {
  Deno.exitCode = await answerJobs<FaceSetup, FaceJob, FaceAnswer>(
    ({ root, seed }) => {
      const layout = new DatasetLayout(root);
      return Promise.resolve(async (job) => {
        try {
          return { files: await write(layout, seed, job) };
        } catch (error) {
          if (
            error instanceof MasterWeaverError && error.code !== "cannot-write"
          ) {
            return { fault: error.message };
          }
          throw error;
        }
      });
    },
  );
}
