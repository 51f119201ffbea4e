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
) as { cases: (Case | BoxCase)[] };
const cases = allCases.filter((wanted) => wanted.op !== "box");
const inputs = new Map<string, Image>();
for (const { input } of cases) {
  const bytes = await Deno.readFile(new URL(input, folder));
  inputs.set(input, decodeImage(bytes, input));
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
