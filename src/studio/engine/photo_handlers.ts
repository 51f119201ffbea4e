/**
 * Looks at photos in a Worker: decodes them, finds and aligns faces. No GPU; the
 * Worker's module says where the face detector is, and how a PNG is written.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { Pauser } from "../../base/pauser.ts";
import type { DetectedFace } from "../../face/detect.ts";
import type { FaceFinder } from "../../face/finder.ts";
import { decodeImage } from "../../host/codecs/decode_image.ts";
import { imageSize } from "../../host/codecs/image_size.ts";
import type { Image } from "../../image/image.ts";
import { resizeImage } from "../../image/resize.ts";
import type { FaceResource } from "../wire/resources.ts";
import { pixelBuffers } from "./messages.ts";
import type { PhotoCalls, PhotoInput } from "./photo_calls.ts";
import { readAs } from "./read_as.ts";
import type { Handlers } from "./worker_side.ts";

/** The most faces of a photo that are shown aligned. */
const MOST_ALIGNED = 8;
/** Side of an aligned face that is shown, in pixels. */
const SHOWN_SIDE = 256;

/** What this takes of whoever starts it. */
export interface PhotoHost {
  /** Whether the model aligns faces unless it is told not to. */
  readonly aligns: boolean;
  /** The most pixels of a photo. */
  readonly maxPixels: number;
  /** Opens the model's face finder; null where it has no face detector. */
  openFinder(): Promise<FaceFinder | null>;
  /** Writes a PNG file. */
  encodePng(
    image: Image,
  ): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
}

/** What does the work of each call. */
export function photoHandlers(host: PhotoHost): Handlers<PhotoCalls> {
  let finder: Promise<FaceFinder | null> | undefined;
  const open = () =>
    finder ??= host.openFinder().catch((error) => {
      // Not remembered: in a page the network may be back at the next call.
      finder = undefined;
      throw error;
    });
  return {
    decode: async (input, { signal }) => {
      const image = decode(input, host);
      const output = await readAs(image, input.reading, new Pauser(signal));
      return { output, transfer: pixelBuffers([output]) };
    },
    faces: async (input, { signal }) => {
      const photo = decode(input, host);
      const { width, height } = photo;
      const found = await open();
      const faces = found
        ? await resources(found, photo, host, new Pauser(signal))
        : [];
      return { output: { width, height, faces, aligns: host.aligns } };
    },
  };
}

/** Decodes a photo whose header asks for no more pixels than allowed. */
function decode(
  { bytes, name, reading }: PhotoInput,
  { maxPixels }: PhotoHost,
): Image {
  const size = imageSize(bytes);
  if (size && size.width * size.height > maxPixels) {
    throw new MasterWeaverError(
      "bad-image",
      `Image ${name} has ${size.width}x${size.height} pixels, at most ${
        maxPixels / 1e6
      } million are allowed: make it smaller`,
    );
  }
  return decodeImage(bytes, name, true, reading?.mask === undefined);
}

async function resources(
  finder: FaceFinder,
  photo: Image,
  host: PhotoHost,
  pauser: Pauser,
): Promise<FaceResource[]> {
  const faces: FaceResource[] = [];
  const found = await finder.detect(photo, pauser);
  for (const [i, face] of found.entries()) {
    const isShown = finder.canAlign && i < MOST_ALIGNED;
    faces.push({
      rect: face.rect,
      score: face.score,
      ...isShown &&
        { aligned: await aligned(finder, photo, face, host, pauser) },
    });
  }
  return faces;
}

/** The aligned face as a PNG's data URL. */
async function aligned(
  finder: FaceFinder,
  photo: Image,
  face: DetectedFace,
  host: PhotoHost,
  pauser: Pauser,
): Promise<string> {
  const whole = await finder.align(photo, face, pauser);
  const side = SHOWN_SIDE;
  const small = await resizeImage(whole, side, side, "lanczos", pauser);
  return `data:image/png;base64,${(await host.encodePng(small)).toBase64()}`;
}
