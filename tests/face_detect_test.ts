import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { type DetectedFace, detectFaces } from "../src/face/detect.ts";
import { computeFeatures } from "../src/face/fhog.ts";
import { chooseFace, FaceFinder, reducedSize } from "../src/face/finder.ts";
import { toGray } from "../src/face/gray.ts";
import {
  countLevels,
  reduceLevel,
  resizeGray,
  upsample,
} from "../src/face/pyramid.ts";
import { scoreWindows } from "../src/face/windows.ts";
import { resizeImage } from "../src/image/resize.ts";
import { cut, flat, knownImages, miniDetector } from "./support/faces.ts";
import { random } from "./support/weights.ts";

const detector = await miniDetector();
const pictures = await knownImages();
const astronaut = pictures.find(({ name }) => name === "astronaut")!;

for (const { name, image, faces } of pictures) {
  Deno.test(`face detection: ${name} as dlib finds it`, async () => {
    const found = await detectFaces(detector, image);
    const places = (faces: readonly DetectedFace[]) =>
      faces.map(({ rect, detector }) => ({ rect, detector }));
    assertEquals(places(found), places(faces));
    // dlib scores with f32 and filters cut to low rank, which differ by 2e-6.
    found.forEach(({ score }, i) =>
      assertAlmostEquals(score, faces[i].score, 1e-4)
    );
  });
}

Deno.test("face detection: images too small for a window hold no face", async () => {
  for (
    const [width, height] of [[1, 1], [2, 300], [300, 1], [7, 7], [39, 39]]
  ) {
    assertEquals(await detectFaces(detector, flat(width, height)), []);
    const { rect } = astronaut.faces[0];
    const part = {
      ...rect,
      right: rect.left + width - 1,
      bottom: rect.top + height - 1,
    };
    assertEquals(await detectFaces(detector, cut(astronaut.image, part)), []);
  }
});

Deno.test("face detection: noise and flat areas hold no face", async () => {
  const next = random(1);
  const noise = flat(128, 96);
  for (let i = 0; i < noise.data.length; i++) {
    if (i % 4 !== 3) noise.data[i] = next(256);
  }
  assertEquals(await detectFaces(detector, noise), []);
  assertEquals(await detectFaces(detector, flat(200, 150)), []);
});

Deno.test("face detection: a face cut by the border", async () => {
  const { rect } = astronaut.faces[0];
  // A tenth of the face is missing on the left and above.
  const part = {
    left: rect.left + 9,
    top: rect.top + 9,
    right: rect.right + 90,
    bottom: rect.bottom + 90,
  };
  const found = await detectFaces(detector, cut(astronaut.image, part));
  assertEquals(found.length, 1);
  const { left, top, right, bottom } = found[0].rect;
  // It is found where it was, within a cell of 8 pixels, over the edges.
  const where = [
    left + part.left,
    top + part.top,
    right + part.left,
    bottom + part.top,
  ];
  const was = [rect.left, rect.top, rect.right, rect.bottom];
  where.forEach((side, i) => assertAlmostEquals(side, was[i], 16));
  assert(left < 0 && top < 0, `found at ${left}, ${top}`);
});

Deno.test("pyramid: sizes and number of levels", async () => {
  const first = await upsample({
    width: 60,
    height: 50,
    data: new Uint8Array(3000),
  });
  assertEquals([first.width, first.height], [122, 101]);
  const second = await reduceLevel(first);
  assertEquals([second.width, second.height], [101, 84]);
  assertEquals(countLevels(122, 101, [64, 64], 1000), 3);
  assertEquals(countLevels(10, 10, [64, 64], 1000), 1);
  assertEquals(countLevels(1026, 1025, [64, 64], 1000), 16);
  assertEquals(countLevels(1026, 1025, [64, 64], 4), 4);
});

Deno.test("pyramid: resizing is linear interpolation to within rounding", async () => {
  const next = random(3);
  const image = {
    width: 37,
    height: 23,
    data: Uint8Array.from({ length: 37 * 23 }, () => next(256)),
  };
  for (const [width, height] of [[76, 47], [30, 19], [4, 4], [3, 2], [1, 1]]) {
    const { data } = await resizeGray(image, width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const u = x * 36 / Math.max(width - 1, 1);
        const v = y * 22 / Math.max(height - 1, 1);
        const at = (column: number, row: number) =>
          image.data[Math.min(row, 22) * 37 + Math.min(column, 36)];
        const l = Math.floor(u), t = Math.floor(v);
        const above = at(l, t) * (1 - u + l) + at(l + 1, t) * (u - l);
        const below = at(l, t + 1) * (1 - u + l) + at(l + 1, t + 1) * (u - l);
        // dlib rounds most columns and cuts the last few: less than 1 off.
        assertAlmostEquals(
          data[y * width + x],
          above * (1 - v + t) + below * (v - t),
          1.001,
        );
      }
    }
  }
});

Deno.test("fhog: 31 features a cell; a gradient votes for its direction", async () => {
  // A ramp to the right: gradients of direction 0 everywhere.
  const width = 64;
  const data = Uint8Array.from(
    { length: width * width },
    (_, i) => i % width * 4,
  );
  const features = (await computeFeatures({ width, height: width, data }))!;
  assertEquals([features.width, features.height], [6 + 9, 6 + 9]);
  const plane = 15 * 15;
  const middle = 7 * 15 + 7;
  const cell = Array.from(
    { length: 31 },
    (_, p) => features.planes[p * plane + middle],
  );
  // Four equal blocks: h / (2h) · 0.5 each, cut at 0.2 · 0.5.
  assertAlmostEquals(cell[0], 0.4, 1e-6);
  assertAlmostEquals(cell[18], 0.4, 1e-6);
  for (let p = 27; p < 31; p++) assertAlmostEquals(cell[p], 0.04714, 1e-6);
  assertEquals(cell.filter((value) => value > 0).length, 6);
  // The margins are zeros.
  assertEquals(features.planes[3 * 15 + 7], 0);
  assertEquals(
    await computeFeatures({
      width: 16,
      height: 64,
      data: new Uint8Array(1024),
    }),
    undefined,
  );
});

Deno.test("windows: correlation against a direct sum", async () => {
  const next = random(5);
  const features = {
    width: 12,
    height: 11,
    planes: Float64Array.from(
      { length: 31 * 12 * 11 },
      () => next(1000) / 1000,
    ),
  };
  const weights = Float32Array.from(
    { length: 2 * 3100 },
    () => next(1000) / 1000 - 0.5,
  );
  const { width, height, values } = await scoreWindows(features, weights, 1);
  assertEquals([width, height], [3, 2]);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (let i = 0; i < 3100; i++) {
        const p = Math.floor(i / 100), m = Math.floor(i / 10) % 10, n = i % 10;
        sum += weights[3100 + i] *
          features.planes[(p * 11 + row + m) * 12 + column + n];
      }
      // 3100 terms of f64 in another order.
      assertAlmostEquals(values[row * width + column], sum, 1e-10);
    }
  }
});

Deno.test("gray: luma in fixed point", async () => {
  const data = new Uint8ClampedArray([
    255,
    255,
    255,
    255,
    255,
    0,
    0,
    255,
    0,
    255,
    0,
    255,
    0,
    0,
    255,
    255,
  ]);
  assertEquals([...(await toGray({ width: 4, height: 1, data })).data], [
    255,
    76,
    150,
    29,
  ]);
});

Deno.test("face choice: best, largest, by number; others are refused", () => {
  const face = (score: number, side: number): DetectedFace => ({
    rect: { left: 0, top: 0, right: side - 1, bottom: side - 1 },
    score,
    detector: 0,
  });
  const faces = [face(2, 50), face(1, 90), face(0.5, 40)];
  assertEquals(chooseFace(faces), faces[0]);
  assertEquals(chooseFace(faces, "best"), faces[0]);
  assertEquals(chooseFace(faces, "largest"), faces[1]);
  assertEquals(chooseFace(faces, 2), faces[2]);
  for (const choice of [3, -1, 0.5, NaN]) {
    const error = assertThrows(
      () => chooseFace(faces, choice),
      MasterWeaverError,
      "0 to 2",
    );
    assertEquals(error.code, "bad-option");
  }
  const error = assertThrows(() => chooseFace([], "best"), MasterWeaverError);
  assertEquals(error.code, "no-face");
});

Deno.test("face finder: huge photos are reduced, rectangles are not", async () => {
  assertEquals(reducedSize({ width: 2048, height: 2048 }), undefined);
  assertEquals(reducedSize({ width: 8000, height: 6000 }), {
    width: 2048,
    height: 1536,
  });
  assertEquals(reducedSize({ width: 100, height: 60000 }), {
    width: 3,
    height: 2048,
  });
  // 9 megapixels, of which the face's surroundings are small.
  const photo = flat(9000, 1000);
  const { image, faces: [{ rect }] } = astronaut;
  const portrait = await resizeImage(image, 1000, 1000, "bicubic");
  for (let y = 0; y < 1000; y++) {
    photo.data.set(
      portrait.data.subarray(y * 4000, y * 4000 + 4000),
      (y * 9000 + 4000) * 4,
    );
  }
  const [face, ...others] = await new FaceFinder(detector).detect(photo);
  assertEquals(others.length, 0);
  const scale = 1000 / 512;
  // Within the detector's grid: 8 pixels of a level are up to 40 of the photo.
  assertAlmostEquals(face.rect.left, 4000 + rect.left * scale, 40);
  assertAlmostEquals(face.rect.bottom, rect.bottom * scale, 40);
  assertEquals(face.landmarks, undefined);
});
