/**
 * What ControlNets are shown: images of the size of the one that is made, as they
 * are, their edges or their faces.
 *
 * @module
 */
import type { Pauser } from "../base/pauser.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { drawFaceMap } from "../face/face_map.ts";
import type { FaceFinder } from "../face/finder.ts";
import { cannyEdges } from "../image/canny.ts";
import { overWhite } from "../image/check.ts";
import type { Image } from "../image/image.ts";
import { resizeImage } from "../image/resize.ts";
import type { AppliedControl } from "./controls.ts";
import type { CheckedControl } from "./control_input.ts";

/** What finds the landmarks of faces. */
export type Landmarker = Pick<FaceFinder, "canAlign" | "detect">;

/**
 * Prepares the images of a call's ControlNets.
 *
 * @param openFinder gives the face finder; null where the model has no face detector
 * @throws {MasterWeaverError} `no-face`, `bad-model` where faces cannot be found, `cannot-read`, `aborted`
 */
export async function prepareControls(
  controls: readonly CheckedControl[],
  size: Pick<Image, "width" | "height">,
  openFinder: () => Promise<Landmarker | null>,
  pauser: Pauser,
): Promise<AppliedControl[]> {
  const prepared: AppliedControl[] = [];
  for (const [i, { preprocess, ...control }] of controls.entries()) {
    const image = preprocess === "face"
      ? await faceMap(control.image, i, size, await openFinder(), pauser)
      : await resizeImage(
        control.image,
        size.width,
        size.height,
        "lanczos",
        pauser,
      );
    prepared.push({
      ...control,
      image: preprocess === "canny"
        ? await cannyEdges(image, undefined, pauser)
        : image,
    });
  }
  return prepared;
}

/** The landmarks of all faces of a photo, drawn at another size. */
async function faceMap(
  photo: Image,
  index: number,
  { width, height }: Pick<Image, "width" | "height">,
  finder: Landmarker | null,
  pauser: Pauser,
): Promise<Image> {
  if (!finder?.canAlign) {
    const missing = finder ? "landmarks.weave" : "face_detector.weave";
    throw new MasterWeaverError(
      "bad-model",
      `Cannot draw the faces of control image ${
        index + 1
      }: the model has no ${missing}; give ${missing} among the model's files, or use an image that is drawn already`,
    );
  }
  const faces = await finder.detect(overWhite(photo), pauser);
  const points = faces.flatMap(({ landmarks = [] }) => landmarks);
  if (points.length === 0) {
    throw new MasterWeaverError(
      "no-face",
      `No face found in control image ${
        index + 1
      }: give a photo of one that looks at the camera and is at least 40 pixels wide`,
    );
  }
  return drawFaceMap(
    points.map(([x, y]) =>
      [
        Math.floor(x * width / photo.width),
        Math.floor(y * height / photo.height),
      ] as const
    ),
    width,
    height,
  );
}
