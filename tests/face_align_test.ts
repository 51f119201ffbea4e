import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { alignFace, faceSquare } from "../src/face/align.ts";
import type { Point } from "../src/face/detect.ts";
import { FaceFinder } from "../src/face/finder.ts";
import { padEdges } from "../src/face/pad_edges.ts";
import { applyMask } from "../src/face/parse.ts";
import { warpQuad } from "../src/face/warp_quad.ts";
import type { Image } from "../src/image/image.ts";
import { resizeImage } from "../src/image/resize.ts";
import { flat, knownImages, miniDetector } from "./support/faces.ts";
import { assertPixels } from "./support/pixels.ts";

const pictures = await knownImages();
const { image: photo, faces: [face] } = pictures[0];

for (const { name, image, faces } of pictures) {
  for (const [i, { landmarks }] of faces.entries()) {
    Deno.test(`face alignment: ${name} ${i}, every byte`, async () => {
      const aligned = await alignFace(image, landmarks);
      assertEquals([aligned.width, aligned.height], [512, 512]);
      await assertPixels(aligned, `face/${name}.face${i}.aligned`);
    });
  }
}

const moved = (points: readonly Point[], scale: number, x: number, y: number) =>
  points.map((point): Point => [point[0] * scale + x, point[1] * scale + y]);

Deno.test("face alignment: landmarks that are not a face are refused", async () => {
  const cases: [readonly Point[], string][] = [
    [face.landmarks.slice(1), "with 67 landmarks: expected 68"],
    [moved(face.landmarks, 0, 50, 50), "a face of 0 pixels"],
    [moved(face.landmarks, 0.01, 50, 50), "expected 8 to 65536"],
    [moved(face.landmarks, 1e6, 0, 0), "expected 8 to 65536"],
    [moved(face.landmarks, NaN, 0, 0), "landmark 0 at [NaN, NaN]"],
    [moved(face.landmarks, 30, -4000, -4000), "photo of 512 × 512: expected"],
    [moved(face.landmarks, 1, 2000, 0), "outside the photo of 512 × 512"],
    [moved(face.landmarks, 1, 0, -900), "outside the photo of 512 × 512"],
  ];
  for (const [landmarks, expected] of cases) {
    const error = await assertRejects(
      () => alignFace(photo, landmarks),
      MasterWeaverError,
      expected,
    );
    assertEquals(error.code, "bad-option");
  }
});

Deno.test("face alignment: a face of more than 4096 pixels is shrunk first", async () => {
  // Upright, with eyes 1025 pixels apart: its square has 4 · 1025.
  const middle = 2470;
  const landmarks = Array.from({ length: 68 }, (_, i): Point => [
    i >= 36 && i < 42
      ? middle - 512.5
      : i >= 42 && i < 48
      ? middle + 512.5
      : middle,
    i < 48 ? middle : middle + 1000,
  ]);
  const { quad: [[left, top]], size } = faceSquare(landmarks);
  assertEquals(size, 4100);
  assertAlmostEquals(left, middle - 2050, 1e-9);
  assertAlmostEquals(top, middle + 100 - 2050, 1e-9);
  // A ramp to the right, which stays one.
  const width = 5120;
  const photo = flat(width, width);
  for (let i = 0; i < width * width; i++) {
    photo.data.fill(i % width / 20, 4 * i, 4 * i + 3);
  }
  const aligned = await alignFace(photo, landmarks);
  for (let x = 0; x < 512; x++) {
    const from = left + (x + 0.5) * size / 512;
    assertAlmostEquals(aligned.data[4 * (300 * 512 + x)], from / 20, 1.5);
  }
});

Deno.test("face alignment: in huge photos large faces are aligned from a smaller one", async () => {
  const finder = new FaceFinder(await miniDetector());
  const scale = 9;
  const big = await resizeImage(photo, 512 * scale, 512 * scale, "bicubic");
  const { rect } = face;
  const landmarks = moved(face.landmarks, scale, scale / 2, scale / 2);
  const aligned = await finder.align(big, { rect, landmarks });
  const expected = await finder.align(photo, face);
  let difference = 0;
  for (let i = 0; i < expected.data.length; i++) {
    difference += Math.abs(aligned.data[i] - expected.data[i]);
  }
  // The same face, upsampled and reduced on the way.
  assert(
    difference / expected.data.length < 3,
    `${difference / expected.data.length}`,
  );
});

Deno.test("padding: mirrored, edges not repeated, faded to the median", async () => {
  const image: Image = {
    width: 3,
    height: 1,
    data: new Uint8ClampedArray([10, 0, 0, 255, 20, 0, 0, 255, 30, 0, 0, 255]),
  };
  const padding = { left: 4, top: 3, right: 5, bottom: 2 };
  // So little blur that only the fade remains.
  const padded = await padEdges(image, padding, 0.01);
  assertEquals([padded.width, padded.height], [12, 6]);
  const mirrored = [10, 20, 30, 20, 10, 20, 30, 20, 10, 20, 30, 20];
  // 72 values, 6 of each column: 18 of 10, 36 of 20, 18 of 30.
  for (let y = 0; y < 6; y++) {
    for (let x = 0; x < 12; x++) {
      const across = 1 - Math.min(x / 4, (11 - x) / 5);
      const down = 1 - Math.min(y / 3, (5 - y) / 2);
      const part = Math.min(Math.max(across, down, 0), 1);
      const value = mirrored[x] + (20 - mirrored[x]) * part;
      assertAlmostEquals(padded.data[(y * 12 + x) * 4], value, 0.501);
    }
  }
});

Deno.test("padding: blurs with a Gaussian where it fades", async () => {
  // A step; its blur is the error function.
  const data = new Uint8ClampedArray(41 * 41 * 4).fill(255);
  for (let i = 0; i < data.length; i += 4) data[i] = i / 4 % 41 < 20 ? 0 : 200;
  const sigma = 2;
  const padding = { left: 10, top: 10, right: 10, bottom: 10 };
  const padded = await padEdges(
    { width: 41, height: 41, data },
    padding,
    sigma,
  );
  // Row 12 is blurred whole (3 · mask + 1 ≥ 1 up to row 10; here 0.4) and not faded.
  const part = 3 * (1 - 12 / 10) + 1;
  for (let x = 22; x < 38; x++) {
    let blurred = 0;
    for (let k = -8; k <= 8; k++) {
      if (x + k >= 30) {
        blurred += 200 * Math.exp(-k * k / (2 * sigma * sigma)) /
          (sigma * Math.sqrt(2 * Math.PI));
      }
    }
    const sharp = x >= 30 ? 200 : 0;
    assertAlmostEquals(
      padded.data[(12 * 61 + x) * 4],
      sharp + (blurred - sharp) * part,
      0.6,
    );
  }
});

Deno.test("warp: the whole image as a quadrilateral is unchanged; outside is black", async () => {
  const size = 16;
  const square = await resizeImage(photo, size, size, "bilinear");
  const whole = [[0, 0], [0, size], [size, size], [size, 0]] as const;
  assertEquals((await warpQuad(square, whole, size)).data, square.data);
  const turned = [[0, size], [size, size], [size, 0], [0, 0]] as const;
  const result = await warpQuad(square, turned, size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const from = ((size - 1 - x) * size + y) * 4;
      assertEquals(result.data[(y * size + x) * 4], square.data[from]);
    }
  }
  const beside = await warpQuad(
    square,
    [[-8, 0], [-8, size], [8, size], [8, 0]],
    size,
  );
  assertEquals([...beside.data.subarray(0, 4)], [0, 0, 0, 255]);
  assertEquals(beside.data[8 * 4], square.data[0]);
});

Deno.test("parse: dropped classes become black", () => {
  const image = flat(20, 1, 9);
  const classes = Array.from({ length: 20 }, (_, i) => i % 19);
  const masked = applyMask(image, classes);
  const black = classes.map((_, i) => masked.data[4 * i] === 0);
  assertEquals(black.map((is, i) => is ? i : -1).filter((i) => i >= 0), [
    0,
    14,
    15,
    16,
    18,
    19,
  ]);
  assertEquals(masked.data[3], 255);
  assertThrows(
    () => applyMask(image, [1, 2]),
    MasterWeaverError,
    "with 2 classes",
  );
});
