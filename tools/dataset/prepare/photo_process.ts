/**
 * A process that finds and cuts out faces; {@linkcode ../prepare.ts} starts it.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { faceSquare } from "../../../src/face/align.ts";
import type { DetectedFace, Point } from "../../../src/face/detect.ts";
import { FaceFinder } from "../../../src/face/finder.ts";
import { decodeImage, encodeJpeg } from "../../../src/host/codecs/codec.ts";
import { FileSource, readFile } from "../../../src/host/files.ts";
import type { Image } from "../../../src/image/image.ts";
import { DatasetLayout } from "../layout.ts";
import { encodeNpy } from "../npy.ts";
import { answerJobs } from "../processes.ts";
import { writeWhole } from "../whole_file.ts";
import { cropSquare, cropTo, landmarksIn } from "./crop.ts";
import { reject, type Rejection } from "./rejection.ts";

/** Where and how to cut out faces. */
export interface PhotoSetup {
  /** The dataset's root. */
  readonly root: string;
  /** Pixels on a side of images. */
  readonly size: number;
  /** Pixels on a side of the smallest face that is taken. */
  readonly minFace: number;
  /** The file of the component `face_detector`. */
  readonly detector: string;
  /** The file of the component `landmarks`. */
  readonly landmarks: string;
}

/** Which photo. */
export interface PhotoJob {
  readonly path: string;
  readonly id: string;
}

/** The faces that were cut out, or why there is none. */
export type PhotoAnswer = PhotoFaces | Rejection;

/** What was cut out of a photo. */
export interface PhotoFaces {
  /** Names of the faces. */
  readonly faces: readonly string[];
  /** Faces that reach over the edge of the crop, and were left out. */
  readonly outside: number;
}

const JPEG_QUALITY = 95;

/** A face that is large enough. */
type PlacedFace = DetectedFace & { readonly landmarks: readonly Point[] };

/** Cuts out the faces of one photo after the other. */
class PhotoCutter {
  readonly #setup: PhotoSetup;
  readonly #finder: FaceFinder;
  readonly #layout: DatasetLayout;

  constructor(setup: PhotoSetup, finder: FaceFinder) {
    this.#setup = setup;
    this.#finder = finder;
    this.#layout = new DatasetLayout(setup.root);
  }

  async cut({ path, id }: PhotoJob): Promise<PhotoAnswer> {
    const photo = await read(path);
    if ("reason" in photo) return photo;
    const faces = await this.#faces(photo);
    if ("reason" in faces) return faces;
    const { size } = this.#setup;
    const square = cropSquare(photo, faces.map(({ landmarks }) => landmarks));
    const names: string[] = [];
    for (const face of faces) {
      const landmarks = landmarksIn(square, face.landmarks, size);
      if (!landmarks) continue;
      const name = String(names.length);
      const aligned = await this.#finder.align(photo, face);
      writeJpeg(this.#layout.face(id, name), aligned);
      const points = encodeNpy(landmarks, [landmarks.length / 2, 2]);
      writeWhole(this.#layout.landmarks(id, name), points);
      names.push(name);
    }
    if (names.length === 0) {
      return reject("no face", "its face reaches over the photo's edge");
    }
    writeJpeg(this.#layout.image(id), await cropTo(photo, square, size));
    return { faces: names, outside: faces.length - names.length };
  }

  /** The faces that are large enough, the largest first. */
  async #faces(photo: Image): Promise<readonly PlacedFace[] | Rejection> {
    const { minFace } = this.#setup;
    const found = (await this.#finder.detect(photo))
      .map((face) => ({ ...face, landmarks: face.landmarks! }))
      .filter(({ landmarks }) => isFace(landmarks))
      .toSorted((a, b) => widthOf(b) - widthOf(a));
    if (found.length === 0) {
      return reject("no face", "expected one that looks at the camera");
    }
    const large = found.filter((face) => widthOf(face) >= minFace);
    return large.length > 0 ? large : reject(
      "face too small",
      `its face is ${
        widthOf(found[0])
      } pixels wide, expected at least ${minFace}`,
    );
  }
}

function widthOf({ rect: { left, right } }: DetectedFace): number {
  return right - left + 1;
}

/** Whether landmarks span a square that can be cut out. */
function isFace(landmarks: readonly Point[]): boolean {
  try {
    faceSquare(landmarks);
    return true;
  } catch (error) {
    if (error instanceof MasterWeaverError) return false;
    throw error;
  }
}

async function read(path: string): Promise<Image | Rejection> {
  try {
    return decodeImage(await readFile(path), path);
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    return reject("cannot be read", error.message);
  }
}

function writeJpeg(path: string, image: Image): void {
  writeWhole(path, encodeJpeg(image, "", JPEG_QUALITY));
}

if (import.meta.main) {
  Deno.exitCode = await answerJobs<PhotoSetup, PhotoJob, PhotoAnswer>(
    async (setup) => {
      await using detector = await FileSource.open(setup.detector);
      await using landmarks = await FileSource.open(setup.landmarks);
      const finder = await FaceFinder.load(detector, landmarks);
      const cutter = new PhotoCutter(setup, finder);
      return (job) => cutter.cut(job);
    },
  );
}
