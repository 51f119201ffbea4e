/**
 * Other appearances of a face that need no generator: hair, glasses, light.
 *
 * @module
 */
import type { Point } from "../../../src/face/detect.ts";
import { applyMask } from "../../../src/face/parse.ts";
import type { Image } from "../../../src/image/image.ts";
import type { Random } from "../random.ts";
import { drawGlasses } from "./glasses.ts";
import {
  blurImage,
  type Color,
  inRegion,
  luma,
  shareOf,
  softRegion,
} from "./pixels.ts";

/** An aligned face. */
export interface ParsedFace {
  readonly image: Image;
  /** (height, width), classes 0..18. */
  readonly classes: Uint8Array;
  /** 68, in the face's pixels; where they are known. */
  readonly landmarks?: readonly Point[];
}

/** What is changed. */
export const CHANGES = [
  ...["hair-color", "hair-blur", "hair-hidden"] as const,
  ...["glasses", "light"] as const,
];
/** One of them. */
export type Change = typeof CHANGES[number];

const HAIR = 17;
/** Less hair is not worth a change. */
const LEAST_HAIR = 0.01;

const HAIR_COLORS: readonly Color[] = [
  [30, 24, 20],
  [96, 62, 38],
  [214, 178, 110],
  [150, 58, 30],
  [165, 165, 168],
  [60, 90, 180],
  [200, 90, 150],
];

/**
 * Changes a face; what is not face or hair is black, as the encoder sees it.
 *
 * @returns undefined where the face has nothing to change
 */
export function changeFace(
  face: ParsedFace,
  change: Change,
  random: Random,
): Image | undefined {
  const { classes, landmarks } = face;
  const image = applyMask(face.image, classes);
  // In a random light each, so that not only what is changed differs.
  const lit = (changed: Image) => changeLight(changed, random, 0.4);
  if (change === "light") return changeLight(image, random, 1);
  if (change === "glasses") {
    return landmarks && lit(drawGlasses(image, landmarks, random));
  }
  const hair = softRegion(image, classes, HAIR);
  if (shareOf(hair) < LEAST_HAIR) return undefined;
  switch (change) {
    case "hair-color":
      return lit(recolor(image, hair, random.pick(HAIR_COLORS)));
    case "hair-blur": {
      const radius = image.width * random.uniform(0.03, 0.06);
      const blurred = blurImage(image, Math.max(1, Math.round(radius)));
      return lit(inRegion(image, hair, (_, p) => colorAt(blurred, p)));
    }
    case "hair-hidden": {
      // With its soft edge: an outline would still show the style.
      const all = hair.map((share) => Number(share > 0));
      return lit(inRegion(image, all, () => [0, 0, 0]));
    }
  }
}

/** Another colour with the same light and shade. */
function recolor(image: Image, hair: Float32Array, color: Color): Image {
  let sum = 0, count = 0;
  for (let p = 0; p < hair.length; p++) {
    sum += hair[p] * luma(colorAt(image, p));
    count += hair[p];
  }
  const mean = Math.max(sum / count, 8);
  return inRegion(image, hair, (old) => {
    const light = luma(old) / mean;
    return [color[0] * light, color[1] * light, color[2] * light];
  });
}

/** Contrast, brightness and the warmth of the light; black stays black. */
function changeLight(image: Image, random: Random, strength: number): Image {
  const around = (range: number) =>
    Math.exp(strength * random.uniform(-range, range));
  const gamma = around(0.4);
  const gain = around(0.3);
  const warmth = around(0.2);
  const gains = [gain * warmth, gain, gain / warmth];
  const tables = gains.map((gain) =>
    Uint8ClampedArray.from(
      { length: 256 },
      (_, value) => 255 * gain * (value / 255) ** gamma,
    )
  );
  const { width, height } = image;
  const data = new Uint8ClampedArray(image.data);
  for (let i = 0; i < data.length; i++) {
    if (i % 4 < 3) data[i] = tables[i % 4][data[i]];
  }
  return { width, height, data };
}

function colorAt({ data }: Image, p: number): Color {
  return [data[4 * p], data[4 * p + 1], data[4 * p + 2]];
}
