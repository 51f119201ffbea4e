/**
 * Images of training data: OpenCV's cubic resizing, Pillow's rotation and the
 * augmented references, equal in every byte.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { decodeImage } from "../src/host/codecs/codec.ts";
import { flipImage } from "../src/image/flip.ts";
import type { Image } from "../src/image/image.ts";
import { resizeOpenCvCubic } from "../src/image/resize_opencv.ts";
import { rotateImage } from "../src/image/rotate.ts";
import { faceBox, faceBoxMap } from "../src/train/data/face_box.ts";
import { maskFace, type MaskKind } from "../src/train/data/masks.ts";
import { RandomStream } from "../src/train/data/random.ts";
import { readSample } from "../src/train/data/sample.ts";
import { drawSamplePlan } from "../src/train/data/sample_plan.ts";
import { sampleReader } from "../tools/train/data/decode.ts";
import { grayPng } from "./support/dataset.ts";
import { facePng } from "./support/face_photos.ts";
import { type Augmentation, augmentFace } from "../src/train/data/augment.ts";

interface Case {
  readonly op: "cubic" | "rotate" | "augment" | "mask";
  readonly input: string;
  readonly width: number;
  readonly height: number;
  readonly degrees: number | null;
  readonly expand: boolean;
  readonly flip: boolean;
  readonly side: number;
  readonly kind: MaskKind;
  readonly crop: { readonly side: number; x: number; y: number } | null;
  readonly sha256: string;
}

/** What networks get of an image and its face. */
interface SampleCase {
  readonly op: "sample";
  readonly input: string;
  readonly face: string;
  readonly flip: boolean;
  /** Of the image, of the face, of the reference. */
  readonly sides: readonly [number, number, number];
  /** Hashes of (H, W, 3) f32. */
  readonly image: string;
  readonly reference: string;
}

interface BoxCase {
  readonly op: "box";
  readonly width: number;
  readonly height: number;
  readonly side: number;
  readonly faces: readonly number[][];
  readonly sha256: string;
}

const folder = new URL("goldens/", import.meta.url);
const { cases: allCases } = JSON.parse(
  await Deno.readTextFile(new URL("augment.json", folder)),
) as { cases: (Case | BoxCase | SampleCase)[] };
const cases = allCases.filter((wanted) =>
  wanted.op !== "box" && wanted.op !== "sample"
);
const inputs = new Map<string, Image>();
for (const { input } of cases) {
  inputs.set(input, decodeImage(await pngFile(input), input));
}

/** The bytes of an input. */
function pngFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const photo = /^face\/(.*)\.png$/.exec(path)?.[1];
  return photo ? facePng(photo) : Deno.readFile(new URL(path, folder));
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

function sha256({ data }: Image): Promise<string> {
  const rgb = new Uint8Array(data.length / 4 * 3);
  for (let i = 0, at = 0; at < rgb.length; i += 4, at += 3) {
    rgb.set(data.subarray(i, i + 3), at);
  }
  return digest(rgb);
}

async function assertCases(
  op: Case["op"],
  run: (image: Image, wanted: Case) => Image | Promise<Image>,
): Promise<void> {
  const chosen = cases.filter((wanted) => wanted.op === op);
  assertEquals(chosen.length > 5, true);
  for (const wanted of chosen) {
    const { sha256: expected, ...name } = wanted;
    const result = await run(inputs.get(wanted.input)!, wanted);
    assertEquals(await sha256(result), expected, JSON.stringify(name));
  }
}

Deno.test("train images: cubic resizing is OpenCV's to the byte", async () => {
  await assertCases(
    "cubic",
    (image, { width, height }) => resizeOpenCvCubic(image, width, height),
  );
});

Deno.test("train images: rotation is Pillow's to the byte", async () => {
  await assertCases("rotate", (image, { degrees, expand, width, height }) => {
    const rotated = rotateImage(image, degrees!, expand);
    assertEquals([rotated.width, rotated.height], [width, height]);
    return rotated;
  });
});

Deno.test("train images: augmented references are torchvision's to the byte", async () => {
  await assertCases(
    "augment",
    (image, { flip, degrees, expand, crop, side }) => {
      const augmentation: Augmentation = {
        flip,
        rotation: degrees === null ? undefined : { degrees, expand },
        crop: crop === null ? undefined : { x: crop.x, y: crop.y },
      };
      return augmentFace(image, augmentation, side);
    },
  );
});

Deno.test("train images: masked faces are the reference's to the byte", async () => {
  const classes = Uint8Array.from(
    { length: 70 * 90 },
    (_, i) => (3 * (i % 70) + 7 * Math.floor(i / 70)) % 19,
  );
  await assertCases("mask", (image, { kind }) => {
    const face = { ...image, data: image.data.slice() };
    maskFace(face, { width: 70, height: 90, classes }, kind);
    return face;
  });
});

Deno.test("train images: face boxes are the reference's", async () => {
  const boxes = allCases.filter((wanted) => wanted.op === "box");
  assertEquals(boxes.length, 4);
  for (const { faces, width, height, side, sha256: expected } of boxes) {
    const map = faceBoxMap(faces.map(faceBox), width, height, side);
    assertEquals(await digest(Uint8Array.from(map)), expected);
  }
});

/** A stream whose sample is the own face alone, mirrored or not. */
function streamFor(flip: boolean): RandomStream {
  for (let sample = 0;; sample++) {
    const stream = new RandomStream(1, "sample", sample);
    const faces = [{ face: "0", augmented: [] }];
    const { dropText, references } = drawSamplePlan(stream, 1, faces);
    const isWanted = !dropText && references[1] === null &&
      references[0]?.augmentation.flip === flip;
    if (isWanted) return new RandomStream(1, "sample", sample);
  }
}

/** Digests the first three channels of (H, W, 4). */
function digestRgb(pixels: Float32Array): Promise<string> {
  return digest(
    new Uint8Array(pixels.filter((_, i) => i % 4 !== 3).slice().buffer),
  );
}

Deno.test("train images: a sample's inputs are the reference's in every bit", async () => {
  const samples = allCases.filter((wanted) => wanted.op === "sample");
  assertEquals(samples.length, 8);
  for (const wanted of samples) {
    const { input, face, flip, sides, image, reference } = wanted;
    const faceFile = await pngFile(face);
    const { width, height } = decodeImage(faceFile, face);
    const files = new Map<string, Uint8Array>([
      ["images_cropped/a.jpg", await pngFile(input)],
      ["images_cropped_face/a/0.jpg", faceFile],
      [
        "images_cropped_face_mask/a/0.png",
        await grayPng(width, height, (x, y) => (x + 2 * y) % 19),
      ],
      ["captions/a.txt", new TextEncoder().encode("a face\n")],
    ]);
    const reader = sampleReader({
      list: (path) =>
        Promise.resolve(path === "images_cropped_face/a" ? ["0.jpg"] : []),
      read: (path) =>
        Promise.resolve(files.has(path) ? files.get(path)!.slice() : undefined),
    });
    const made = await readSample(reader, "a", streamFor(flip), {
      stage: 1,
      resolution: sides[0],
      faceSide: sides[1],
      visionSide: sides[2],
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
    });
    assertEquals(await digestRgb(made.image.pixels!), image, input);
    assertEquals(
      await digestRgb(made.references[0]!.pixels!),
      reference,
      `${face} at ${sides}, mirrored: ${flip}`,
    );
  }
});

Deno.test("train images: a face above and left of the image has no box", () => {
  const landmarks = Array.from({ length: 136 }, (_, i) => -50 - i % 20);
  const map = faceBoxMap([faceBox(landmarks)], 64, 64, 64);
  assertEquals(map.every((value) => value === 0), true);
});

Deno.test("train images: a size out of range is refused", () => {
  const [image] = inputs.values();
  for (const [width, height] of [[0, 5], [5, 1.5], [5, 20000]]) {
    assertThrows(
      () => resizeOpenCvCubic(image, width, height),
      MasterWeaverError,
      "1..16384",
    );
  }
});

Deno.test("train images: a mirror image's mirror image is the image", () => {
  for (const image of inputs.values()) {
    const mirrored = flipImage(image);
    assertEquals(
      mirrored.data.slice(0, 4),
      image.data.slice((image.width - 1) * 4, image.width * 4),
    );
    assertEquals(flipImage(mirrored).data, image.data);
  }
});
