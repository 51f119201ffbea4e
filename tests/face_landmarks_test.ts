import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { detectorToWeave } from "../src/checkpoints/dlib_detector.ts";
import {
  landmarksToWeave,
  readDlibPredictor,
} from "../src/checkpoints/dlib_landmarks.ts";
import { packLeaves } from "../src/checkpoints/pack_leaves.ts";
import { loadFaceDetector } from "../src/face/detector_model.ts";
import { readDlibFile } from "../src/checkpoints/dlib_file.ts";
import { FaceFinder } from "../src/face/finder.ts";
import { toGray } from "../src/face/gray.ts";
import {
  type LandmarkPredictor,
  loadLandmarkPredictor,
} from "../src/face/landmark_model.ts";
import { findLandmarks } from "../src/face/landmarks.ts";
import { PackedLeaves } from "../src/face/leaves.ts";
import { FileSource, readFile } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import { openWeave } from "../src/weights/weave.ts";
import type { WeaveContent } from "../src/weights/weave_writer.ts";
import { convert } from "../tools/convert.ts";
import { smallPredictor } from "./support/dlib.ts";
import { facePath } from "./support/face_photos.ts";
import {
  flat,
  knownAligned,
  knownImages,
  LANDMARKS_PATH,
  landmarkTest,
  miniDetector,
  pointsText,
  realPredictor,
} from "./support/faces.ts";
import { repositoryPath } from "./support/paths.ts";
import { fuzz, random, weaveBytes } from "./support/weights.ts";

const small = await readDlibPredictor(new MemorySource(smallPredictor()));

async function opened(content: WeaveContent) {
  return await openWeave(
    new MemorySource(await weaveBytes(content), "test.weave"),
  );
}

/** The same in f64 and without regard for speed. */
async function reference(
  model: LandmarkPredictor,
  image: Image,
  box: number[],
) {
  const [left, top, right, bottom] = box;
  const gray = await toGray(image);
  const initial = [...model.initialShape];
  const shape = [...initial];
  const middle = (s: number[], axis: number) =>
    s.filter((_, i) => i % 2 === axis).reduce((a, b) => a + b) / 68;
  const leaf = new Float32Array(136);
  for (let c = 0; c < model.cascades; c++) {
    let p = 0, q = 0, squares = 0;
    for (let i = 0; i < 136; i += 2) {
      const ax = initial[i] - middle(initial, 0),
        ay = initial[i + 1] - middle(initial, 1);
      const bx = shape[i] - middle(shape, 0),
        by = shape[i + 1] - middle(shape, 1);
      p += ax * bx + ay * by;
      q += ax * by - ay * bx;
      squares += ax * ax + ay * ay;
    }
    const values = Array.from({ length: model.pixels }, (_, i) => {
      const at = c * model.pixels + i;
      const [dx, dy] = model.deltas.subarray(2 * at);
      const x = (p * dx - q * dy) / squares + shape[2 * model.anchors[at]];
      const y = (q * dx + p * dy) / squares + shape[2 * model.anchors[at] + 1];
      const column = Math.round(left + x * (right - left));
      const row = Math.round(top + y * (bottom - top));
      return column >= 0 && row >= 0 && column < gray.width && row < gray.height
        ? gray.data[row * gray.width + column]
        : 0;
    });
    for (let t = c * model.trees; t < (c + 1) * model.trees; t++) {
      let node = 0;
      while (node < model.splits) {
        const at = t * model.splits + node;
        const [a, b] = model.splitPixels.subarray(2 * at);
        node = 2 * node +
          (values[a] - values[b] > model.thresholds[at] ? 1 : 2);
      }
      leaf.fill(0);
      model.leaves.addTo(t * (model.splits + 1) + node - model.splits, leaf);
      leaf.forEach((value, i) => shape[i] += value);
    }
  }
  return shape.map((value, i) =>
    i % 2 === 0 ? left + value * (right - left) : top + value * (bottom - top)
  );
}

Deno.test("landmarks: a small model against f64", async () => {
  const next = random(11);
  const image = flat(90, 70);
  for (let i = 0; i < image.data.length; i++) {
    if (i % 4 !== 3) image.data[i] = next(256);
  }
  // Inside, over two edges, and outside.
  const boxes = [[10, 8, 70, 60], [-30, -20, 50, 40], [40, 30, 150, 120], [
    200,
    200,
    260,
    260,
  ]];
  const found = await findLandmarks(
    small,
    image,
    boxes.map(([left, top, right, bottom]) => ({ left, top, right, bottom })),
  );
  assertEquals(found.length, boxes.length);
  for (const [i, points] of found.entries()) {
    const expected = await reference(small, image, boxes[i]);
    // Whole pixels: half of one at most, and f32 in between.
    points.flat().forEach((value, k) =>
      assertAlmostEquals(value, expected[k], 0.501)
    );
  }
  assertEquals(await findLandmarks(small, image, []), []);
});

Deno.test("leaves: packed leaves give the same sums", () => {
  const next = random(13);
  const initial = Float32Array.from({ length: 136 }, (_, i) => 0.02 + i / 140);
  const values = Float32Array.from(
    { length: 200 * 136 },
    () => (next(65536) - 32768) / 2 ** (20 + next(8)) / 3,
  );
  values.fill(0, 5 * 136, 5 * 136 + 17);
  const { leaves, maxError } = packLeaves(values, initial);
  assertEquals(leaves.count, 200);
  assert(leaves.arrays.bits.length < values.byteLength * 0.7);
  assert(maxError > 0 && maxError < 2 ** -27, `${maxError}`);
  let differences = 0;
  for (let leaf = 0; leaf < leaves.count; leaf++) {
    const shape = initial.slice();
    leaves.addTo(leaf, shape);
    for (let i = 0; i < 136; i++) {
      const plain = Math.fround(initial[i] + values[leaf * 136 + i]);
      if (shape[i] !== plain) differences++;
    }
  }
  // Only sums near 0, whose last bits are finer than any step, may differ.
  assert(differences < 200 * 136 / 1000, `${differences} sums differ`);
});

Deno.test("leaves: values of all widths survive packing", () => {
  const values = new Float32Array(136);
  for (let i = 0; i < 31; i++) values[i] = (i % 2 ? 1 : -1) * 2 ** (i - 27);
  values[40] = 15.9;
  const initial = new Float32Array(136).fill(0.75);
  const { leaves } = packLeaves(values, initial);
  const shape = new Float32Array(136);
  leaves.addTo(0, shape);
  values.forEach((value, i) => assertAlmostEquals(shape[i], value, 2 ** -22));
  assertThrows(
    () => packLeaves(new Float32Array(136).fill(16), initial),
    MasterWeaverError,
    'dtype: "f32"',
  );
});

Deno.test("landmarks: plain and packed leaves give the same model", async () => {
  const image = flat(60, 60, 99);
  image.data.subarray(5000, 9000).fill(255);
  const rect = { left: 5, top: 5, right: 50, bottom: 50 };
  const source = () => new MemorySource(smallPredictor());
  const points: string[] = [];
  for (const dtype of ["f16", "f32"] as const) {
    const { content } = await readDlibFile(source(), dtype, { from: "a test" });
    const model = await loadLandmarkPredictor(await opened(content));
    assertEquals(model.thresholds, small.thresholds);
    assertEquals(model.splitPixels, small.splitPixels);
    points.push(pointsText((await findLandmarks(model, image, [rect]))[0]));
  }
  points.push(pointsText((await findLandmarks(small, image, [rect]))[0]));
  assertEquals(new Set(points).size, 1);
});

Deno.test("landmarks: invalid components are refused", async () => {
  const { leaves } = small;
  const content = (change: Partial<LandmarkPredictor>) =>
    landmarksToWeave({ ...small, ...change }, small.leaves);
  assertEquals(leaves.count, 24);
  const config = content({}).config;
  const cases: [WeaveContent, string][] = [
    [
      { ...content({}), config: { ...config, landmarks: 5 } },
      "landmarks in its config must be 68",
    ],
    [
      { ...content({}), config: { ...config, trees: 1e9 } },
      "trees in its config must be",
    ],
    [
      { ...content({}), config: { ...config, trees: "3" } },
      "trees in its config must be",
    ],
    [
      { ...content({}), config: { ...config, splits: 4 } },
      "not those of a full tree",
    ],
    [
      { ...content({}), config: { ...config, pixels: 4 } },
      "its tensor anchors is i32 (2, 5), expected i32 (2, 4)",
    ],
    [
      { ...content({}), tensors: content({}).tensors.slice(1) },
      "its tensor initial_shape is missing",
    ],
    [
      content({ anchors: new Int32Array(10).fill(68) }),
      "an anchor is point 68 of 68",
    ],
    [
      content({ splitPixels: new Int32Array(36).fill(-1) }),
      "a split compares the pixel -1 of 5",
    ],
    [
      content({ deltas: new Float32Array(20).fill(NaN) }),
      "infinite or not a number",
    ],
  ];
  for (const [content, expected] of cases) {
    const file = await opened(content);
    const error = await assertRejects(
      () => loadLandmarkPredictor(file),
      MasterWeaverError,
      expected,
    );
    assertEquals(error.code, "bad-model");
  }
});

Deno.test("landmarks: invalid packed leaves are refused", () => {
  const part = {
    exponents: new Int32Array(136).fill(27),
    widths: new Uint8Array(8).fill(1),
    bits: new Uint8Array(17 + 4),
  };
  assertEquals(new PackedLeaves(part).count, 1);
  const cases = [
    [{ ...part, bits: new Uint8Array(20) }, "they need 21 bytes, got 20"],
    [{ ...part, widths: new Uint8Array(8).fill(33) }, "they have 33 bits"],
    [{ ...part, exponents: new Int32Array(136).fill(-1) }, "the exponent -1"],
  ] as const;
  for (const [parts, expected] of cases) {
    assertThrows(() => new PackedLeaves(parts), MasterWeaverError, expected);
  }
});

Deno.test("face detector: invalid components are refused", async () => {
  const content = detectorToWeave(await miniDetector());
  const { config } = content;
  const cases: [WeaveContent, string][] = [
    [
      { ...content, config: { ...config, cell: 4 } },
      "cell in its config must be 8",
    ],
    [
      { ...content, config: { ...config, window: 9 } },
      "window in its config must be 10",
    ],
    [
      { ...content, config: { ...config, thresholds: [1] } },
      "expected f32 (1, 31, 10, 10)",
    ],
    [
      { ...content, config: { ...config, thresholds: [null] } },
      "thresholds in its config",
    ],
    [
      { ...content, config: { ...config, minLevel: [0, 64] } },
      "minLevel in its config",
    ],
    [
      { ...content, config: { ...config, maxLevels: 1e9 } },
      "maxLevels in its config",
    ],
    [
      { ...content, config: { ...config, maxOverlap: 2 } },
      "maxOverlap in its config",
    ],
    [{ ...content, tensors: [] }, "its tensor weights is missing"],
  ];
  for (const [content, expected] of cases) {
    const file = await opened(content);
    const error = await assertRejects(
      () => loadFaceDetector(file),
      MasterWeaverError,
      expected,
    );
    assertEquals(error.code, "bad-model");
  }
});

Deno.test("face components: damage is refused, never a crash", async () => {
  const { content } = await readDlibFile(
    new MemorySource(smallPredictor()),
    "f16",
  );
  const bytes = await weaveBytes(content);
  const refused = await fuzz(bytes, 1000, async (source) => {
    await loadLandmarkPredictor(await openWeave(source));
  });
  // Checksums cover all but the padding.
  assert(refused > 850, `${refused} of 1000 were refused`);
});

Deno.test("convert: dlib's detector becomes the mini model's component", async () => {
  const output = await Deno.makeTempDir();
  const svm = facePath("frontal_face_detector.svm");
  const [done] = await convert({ inputs: [svm], output, dtype: "f16" });
  assertEquals(done.component, "face_detector");
  assertEquals(
    await readFile(done.file),
    await readFile(repositoryPath("weights/mini/face_detector.weave")),
  );
  await Deno.remove(output, { recursive: true });
});

Deno.test("face finder: the wrong component is refused", async () => {
  const path = repositoryPath("weights/mini/face_detector.weave");
  const source = new MemorySource(await readFile(path), "face_detector.weave");
  await assertRejects(
    () => FaceFinder.load(source, source),
    MasterWeaverError,
    "holds the component face_detector, expected landmarks",
  );
  const finder = await FaceFinder.load(source);
  assertEquals(finder.canAlign, false);
  const rect = { left: 0, top: 0, right: 79, bottom: 79 };
  await assertRejects(
    () => finder.align(flat(80, 80), { rect }),
    MasterWeaverError,
    "give landmarks.weave",
  );
});

landmarkTest(
  "landmarks: the real model gives dlib's points, in at most 40 MB",
  async () => {
    const predictor = await realPredictor();
    for (const { name, image, faces } of await knownImages()) {
      const found = await findLandmarks(
        predictor,
        image,
        faces.map(({ rect }) => rect),
      );
      assertEquals(
        found.map(pointsText),
        faces.map(({ landmarks }) => pointsText(landmarks)),
        name,
      );
    }
    assert((await Deno.stat(LANDMARKS_PATH)).size <= 40e6);
  },
);

landmarkTest(
  "face finder: from a photo to the aligned face, byte-equal",
  async () => {
    await using detector = await FileSource.open(
      repositoryPath("weights/mini/face_detector.weave"),
    );
    await using landmarks = await FileSource.open(LANDMARKS_PATH);
    const finder = await FaceFinder.load(detector, landmarks);
    assertEquals(finder.canAlign, true);
    for (const { name, image, faces } of await knownImages()) {
      const found = await finder.detect(image);
      assertEquals(found.length, faces.length, name);
      for (const [i, face] of found.entries()) {
        assertEquals(
          pointsText(face.landmarks),
          pointsText(faces[i].landmarks),
        );
        const expected = await knownAligned(name, i);
        assertEquals(
          (await finder.align(image, face)).data,
          expected.data,
          `${name} ${i}`,
        );
        const { rect } = face;
        assertEquals((await finder.align(image, { rect })).data, expected.data);
      }
    }
  },
);
