/**
 * The Worker that looks at photos: decodes them, finds and aligns faces. No GPU.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { Pauser } from "../../base/pauser.ts";
import type { DetectedFace } from "../../face/detect.ts";
import { FaceFinder } from "../../face/finder.ts";
import { decodeImage, encodePng } from "../../host/codecs/codec.ts";
import { imageSize } from "../../host/codecs/image_size.ts";
import { openModelFolder } from "../../host/files.ts";
import type { Image } from "../../image/image.ts";
import { resizeImage } from "../../image/resize.ts";
import type { FaceResource } from "../wire/resources.ts";
import type { PhotoCalls, PhotoInput, PhotoSetup } from "./photo_calls.ts";
import { answerCalls } from "./worker_side.ts";
import { pixelBuffers } from "./messages.ts";

/** The most faces of a photo that are shown aligned. */
const MOST_ALIGNED = 8;
/** Side of an aligned face that is shown, in pixels. */
const SHOWN_SIDE = 256;

answerCalls<PhotoSetup, PhotoCalls>((setup) => {
  let finder: Promise<FaceFinder | null> | undefined;
  return {
    decode: (input) => {
      const output = decode(input, setup);
      return Promise.resolve({ output, transfer: pixelBuffers([output]) });
    },
    faces: async (input, { signal }) => {
      const photo = decode(input, setup);
      const { width, height } = photo;
      const found = await (finder ??= openFinder(setup));
      const faces = found
        ? await resources(found, photo, new Pauser(signal))
        : [];
      return { output: { width, height, faces, aligns: setup.aligns } };
    },
  };
});

/** Decodes a photo whose header asks for no more pixels than allowed. */
function decode({ bytes, name }: PhotoInput, { maxPixels }: PhotoSetup): Image {
  const size = imageSize(bytes);
  if (size && size.width * size.height > maxPixels) {
    throw new MasterWeaverError(
      "bad-image",
      `Image ${name} has ${size.width}x${size.height} pixels, at most ${
        maxPixels / 1e6
      } million are allowed: make it smaller`,
    );
  }
  return decodeImage(bytes, name);
}

/** Opens the model's face finder; null where it has no face detector. */
async function openFinder(
  { model }: PhotoSetup,
): Promise<FaceFinder | null> {
  await using folder = await openModelFolder(model);
  const { face_detector: detector, landmarks } = folder.files;
  return detector ? await FaceFinder.load(detector, landmarks) : null;
}

async function resources(
  finder: FaceFinder,
  photo: Image,
  pauser: Pauser,
): Promise<FaceResource[]> {
  const faces: FaceResource[] = [];
  const found = await finder.detect(photo, pauser);
  for (const [i, face] of found.entries()) {
    const isShown = finder.canAlign && i < MOST_ALIGNED;
    faces.push({
      rect: face.rect,
      score: face.score,
      ...isShown && { aligned: await aligned(finder, photo, face, pauser) },
    });
  }
  return faces;
}

/** The aligned face as a PNG's data URL. */
async function aligned(
  finder: FaceFinder,
  photo: Image,
  face: DetectedFace,
  pauser: Pauser,
): Promise<string> {
  const whole = await finder.align(photo, face, pauser);
  const side = SHOWN_SIDE;
  const small = await resizeImage(whole, side, side, "lanczos", pauser);
  return `data:image/png;base64,${encodePng(small, {}).toBase64()}`;
}
