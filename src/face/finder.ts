/**
 * Faces of a photo, from detection to the aligned image.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "../image/image.ts";
import { resizeImage } from "../image/resize.ts";
import { openWeave, type WeaveFile } from "../weights/weave.ts";
import { ALIGNED_SIZE, alignFace, faceSquare } from "./align.ts";
import { checkFace } from "./check_face.ts";
import { type DetectedFace, detectFaces, type Rect } from "./detect.ts";
import { type FaceDetector, loadFaceDetector } from "./detector_model.ts";
import {
  type LandmarkPredictor,
  loadLandmarkPredictor,
} from "./landmark_model.ts";
import { findLandmarks } from "./landmarks.ts";

/** Photos of more pixels are reduced before faces are looked for … */
export const MAX_PIXELS: number = 2048 * 2048;
/** … to this many on their longer side. */
export const REDUCED_SIDE = 2048;

/** Which of a photo's faces: the best, the largest, or by number from 0. */
export type FaceChoice = "best" | "largest" | number;

/**
 * Finds and aligns faces.
 *
 * Without the landmark model, faces are found but cannot be aligned.
 */
export class FaceFinder {
  readonly #detector: FaceDetector;
  readonly #predictor: LandmarkPredictor | undefined;

  /**
   * Takes loaded models.
   *
   * @param detector finds faces
   * @param predictor places their landmarks
   */
  constructor(detector: FaceDetector, predictor?: LandmarkPredictor) {
    this.#detector = detector;
    this.#predictor = predictor;
  }

  /**
   * Loads the models; the sources are not needed afterwards.
   *
   * @param detector the file of the component `face_detector`
   * @param landmarks the file of the component `landmarks`
   * @throws {MasterWeaverError} `bad-model`, `cannot-read`
   */
  static async load(
    detector: ByteSource,
    landmarks?: ByteSource,
  ): Promise<FaceFinder> {
    return new FaceFinder(
      await loadFaceDetector(await open(detector, "face_detector")),
      landmarks &&
        await loadLandmarkPredictor(await open(landmarks, "landmarks")),
    );
  }

  /** Whether there is a landmark model, so that faces can be aligned. */
  get canAlign(): boolean {
    return this.#predictor !== undefined;
  }

  /**
   * Finds the faces of a photo.
   *
   * Exactly what dlib finds with one upsampling, unless the photo is so large
   * that it is reduced first: see {@linkcode reducedSize}. Rectangles and
   * landmarks are in the photo's own pixels in any case.
   *
   * @param image the photo
   * @param pauser when to pause
   * @returns best first, with landmarks where there is a model for them
   * @throws {MasterWeaverError} `aborted`
   */
  async detect(
    image: Image,
    pauser: Pauser = new Pauser(),
  ): Promise<DetectedFace[]> {
    const reduced = await reducePhoto(image, pauser);
    const found = await detectFaces(this.#detector, reduced, pauser);
    const faces = found.map((face) => ({
      ...face,
      rect: scaleRect(face.rect, reduced, image),
    }));
    if (!this.#predictor) return faces;
    const landmarks = await findLandmarks(
      this.#predictor,
      image,
      faces.map(({ rect }) => rect),
      pauser,
    );
    return faces.map((face, i) => ({ ...face, landmarks: landmarks[i] }));
  }

  /**
   * Aligns a face as FFHQ's faces are.
   *
   * @param image the photo
   * @param face one of {@linkcode detect}; any other needs landmarks, or a rectangle like those of dlib's detector
   * @param pauser when to pause
   * @returns 512 × 512
   * @throws {MasterWeaverError} `bad-model` without landmarks and without the model for them; `bad-option` where they are not a face in this photo; `aborted`
   */
  async align(
    image: Image,
    face: Pick<DetectedFace, "rect" | "landmarks">,
    pauser: Pauser = new Pauser(),
  ): Promise<Image> {
    checkFace(face, image);
    let { landmarks } = face;
    if (!landmarks) {
      if (!this.#predictor) {
        throw new MasterWeaverError(
          "bad-model",
          "Cannot align a face without the landmark model: give landmarks.weave among the model's files",
        );
      }
      [landmarks] = await findLandmarks(
        this.#predictor,
        image,
        [face.rect],
        pauser,
      );
    }
    // The fade at a photo's edge takes minutes for faces of thousands of
    // pixels. Faces of huge photos need not equal the reference's exactly, so
    // there twice the aligned size is enough.
    const { size } = faceSquare(landmarks);
    const scale = 2 * ALIGNED_SIZE / size;
    if (scale >= 1 || !reducedSize(image)) {
      return await alignFace(image, landmarks, pauser);
    }
    const width = Math.ceil(image.width * scale);
    const height = Math.ceil(image.height * scale);
    return await alignFace(
      await resizeImage(image, width, height, "lanczos", pauser),
      landmarks.map(([x, y]) =>
        [x * width / image.width, y * height / image.height] as const
      ),
      pauser,
    );
  }
}

async function open(source: ByteSource, component: string): Promise<WeaveFile> {
  const file = await openWeave(source);
  if (file.component === component) return file;
  throw new MasterWeaverError(
    "bad-model",
    `${file.name} holds the component ${file.component}, expected ${component}`,
  );
}

/**
 * The size to which a photo is reduced before faces are looked for.
 *
 * @returns undefined for photos of up to 2048 × 2048 pixels, which are not reduced
 */
export function reducedSize(
  { width, height }: Pick<Image, "width" | "height">,
): { width: number; height: number } | undefined {
  if (width * height <= MAX_PIXELS) return undefined;
  const scale = REDUCED_SIDE / Math.max(width, height);
  return {
    width: Math.max(Math.round(width * scale), 1),
    height: Math.max(Math.round(height * scale), 1),
  };
}

async function reducePhoto(image: Image, pauser: Pauser): Promise<Image> {
  const size = reducedSize(image);
  if (!size) return image;
  return await resizeImage(image, size.width, size.height, "lanczos", pauser);
}

/** Converts a rectangle to the pixels of the same image at another size. */
function scaleRect(rect: Rect, from: Image, to: Image): Rect {
  if (from === to) return rect;
  const x = to.width / from.width;
  const y = to.height / from.height;
  return {
    left: Math.round(rect.left * x),
    top: Math.round(rect.top * y),
    right: Math.round((rect.right + 1) * x) - 1,
    bottom: Math.round((rect.bottom + 1) * y) - 1,
  };
}

/**
 * Chooses one of a photo's faces.
 *
 * @param faces best first
 * @param choice the reference implementation takes the best
 * @throws {MasterWeaverError} `no-face` where there is none, `bad-option` for a number that no face has
 * @example
 * ```ts
 * import { chooseFace } from "./finder.ts";
 *
 * const rect = { left: 0, top: 0, right: 79, bottom: 79 };
 * console.log(chooseFace([{ rect, score: 1, detector: 0 }], "largest").score); // 1
 * ```
 */
export function chooseFace(
  faces: readonly DetectedFace[],
  choice: FaceChoice = "best",
): DetectedFace {
  if (faces.length === 0) {
    throw new MasterWeaverError(
      "no-face",
      "No face found: give a photo of one that looks at the camera and is at least 40 pixels wide",
    );
  }
  if (choice === "best") return faces[0];
  if (choice === "largest") {
    return faces.reduce((best, face) =>
      pixels(face.rect) > pixels(best.rect) ? face : best
    );
  }
  const face = faces[choice];
  if (face) return face;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot take face ${choice}: the photo has ${faces.length}, expected ${
      faces.length === 1 ? "0" : `0 to ${faces.length - 1}`
    }, best or largest; give another face`,
  );
}

function pixels({ left, top, right, bottom }: Rect): number {
  return (right - left + 1) * (bottom - top + 1);
}
