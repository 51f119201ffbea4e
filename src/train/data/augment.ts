/**
 * How a face becomes a reference: mirrored, turned, cut, resized, as
 * torchvision's transforms do it on Pillow's images.
 *
 * @module
 */
import { flipImage } from "../../image/flip.ts";
import type { Image } from "../../image/image.ts";
import { resizeImage, resizeRegion } from "../../image/resize.ts";
import { rotateImage } from "../../image/rotate.ts";
import type { RandomStream } from "./random.ts";

/** How often a reference is mirrored. */
export const FLIP_PROBABILITY = 0.5;
/** How often a copy of the first face is turned. */
export const ROTATION_PROBABILITY = 0.5;
/** How far it is turned at most, in degrees to either side. */
export const MAX_ROTATION = 45;
/** How often the image grows, where it is turned, so that no corner is lost. */
export const EXPAND_PROBABILITY = 0.5;
/** How often a copy of the first face is cut from a larger image. */
export const CROP_PROBABILITY = 0.5;
/** That larger image's shorter side, as a share of the reference's. */
export const CROP_SCALE = 332 / 224;

/** What is done to a face. */
export interface Augmentation {
  /** Whether it is mirrored. */
  readonly flip: boolean;
  /** How it is turned after that; undefined: not at all. */
  readonly rotation?: {
    /** Counter-clockwise. */
    readonly degrees: number;
    /** Whether the image grows so that no corner is lost. */
    readonly expand: boolean;
  };
  /** Where it is cut from a larger image, as a share in [0, 1) of the room; undefined: not at all. */
  readonly crop?: { readonly x: number; readonly y: number };
}

/** Draws what is done to a face: it may be mirrored. */
export function drawFlip(stream: RandomStream): Augmentation {
  return { flip: stream.chance(FLIP_PROBABILITY) };
}

/** Draws what is done to a copy of a face that fills a missing reference. */
export function drawAugmentation(stream: RandomStream): Augmentation {
  const { flip } = drawFlip(stream);
  const rotation = stream.chance(ROTATION_PROBABILITY)
    ? {
      degrees: stream.between(-MAX_ROTATION, MAX_ROTATION),
      expand: stream.chance(EXPAND_PROBABILITY),
    }
    : undefined;
  const crop = stream.chance(CROP_PROBABILITY)
    ? { x: stream.uniform(), y: stream.uniform() }
    : undefined;
  return { flip, rotation, crop };
}

/**
 * Makes a reference of a face, not normalised yet.
 *
 * @param face any image
 * @param augmentation what is done to it
 * @param side pixels of the reference on each side
 */
export async function augmentFace(
  face: Image,
  { flip, rotation, crop }: Augmentation,
  side: number,
): Promise<Image> {
  const mirrored = flip ? flipImage(face) : face;
  const turned = rotation === undefined
    ? mirrored
    : rotateImage(mirrored, rotation.degrees, rotation.expand);
  if (crop === undefined) {
    return await resizeImage(turned, side, side, "bilinear");
  }
  const [width, height] = sizeByShorterSide(
    turned,
    Math.ceil(side * CROP_SCALE),
  );
  const region = {
    left: Math.floor(crop.x * (width - side + 1)),
    top: Math.floor(crop.y * (height - side + 1)),
    width: side,
    height: side,
  };
  return await resizeRegion(turned, width, height, "bilinear", region);
}

/** Width and height where the shorter of them gets a length, as `Resize(length)`. */
function sizeByShorterSide(
  { width, height }: Image,
  length: number,
): [number, number] {
  return width <= height
    ? [length, Math.trunc(length * height / width)]
    : [Math.trunc(length * width / height), length];
}
