/**
 * Faces in JPEG photos: from the file to the aligned face as Pillow, OpenCV,
 * dlib and the reference's alignment give them.
 */
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { alignFace } from "../src/face/align.ts";
import { detectFaces, type Point } from "../src/face/detect.ts";
import { findLandmarks } from "../src/face/landmarks.ts";
import { readImage } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import known from "./goldens/face/faces_jpeg.json" with { type: "json" };
import { facePath } from "./support/face_photos.ts";
import {
  landmarkTest,
  miniDetector,
  pointsText,
  realPredictor,
} from "./support/faces.ts";

interface KnownPhoto {
  width: number;
  height: number;
  /** SHA-256 of red, green and blue. */
  pixels: string;
  faces: {
    rect: number[];
    score: number;
    detector: number;
    landmarks: number[][];
    /** That of the aligned face. */
    aligned: string;
  }[];
}

const photos: Record<string, KnownPhoto> = known.photos;
const detector = await miniDetector();

async function colourHash({ data }: Image): Promise<string> {
  const colours = new Uint8Array(data.filter((_, i) => i % 4 !== 3));
  const hash = await crypto.subtle.digest("SHA-256", colours);
  return new Uint8Array(hash).toHex();
}

for (const [name, { width, height, pixels, faces }] of Object.entries(photos)) {
  const photo = await readImage(facePath(`${name}.jpg`));

  Deno.test(`face in a JPEG: ${name}, pixels as Pillow's`, async () => {
    assertEquals([photo.width, photo.height], [width, height]);
    assertEquals(await colourHash(photo), pixels);
  });

  Deno.test(`face in a JPEG: ${name}, found as dlib finds it`, async () => {
    const found = await detectFaces(detector, photo);
    assertEquals(
      found.map(({ rect: { left, top, right, bottom }, detector }) => ({
        rect: [left, top, right, bottom],
        detector,
      })),
      faces.map(({ rect, detector }) => ({ rect, detector })),
    );
    found.forEach(({ score }, i) =>
      assertAlmostEquals(score, faces[i].score, 1e-4)
    );
  });

  landmarkTest(`face in a JPEG: ${name}, landmarks as dlib's`, async () => {
    const rects = faces.map(({ rect: [left, top, right, bottom] }) => ({
      left,
      top,
      right,
      bottom,
    }));
    const found = await findLandmarks(await realPredictor(), photo, rects);
    assertEquals(
      found.map(pointsText),
      faces.map(({ landmarks }) => pointsText(landmarks as unknown as Point[])),
    );
  });

  Deno.test(`face in a JPEG: ${name}, aligned to the byte`, async () => {
    for (const { landmarks, aligned } of faces) {
      const face = await alignFace(photo, landmarks as unknown as Point[]);
      assertEquals(await colourHash(face), aligned);
    }
  });
}
