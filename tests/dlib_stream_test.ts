import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readDlibDetector } from "../src/checkpoints/dlib_detector.ts";
import { dlibKind, readDlibFile } from "../src/checkpoints/dlib_file.ts";
import { DlibStream } from "../src/checkpoints/dlib_stream.ts";
import { readDlibPredictor } from "../src/checkpoints/dlib_landmarks.ts";
import { readFile } from "../src/host/files.ts";
import { DlibWriter, smallPredictor } from "./support/dlib.ts";
import { facePath } from "./support/face_photos.ts";
import { fuzz, join } from "./support/weights.ts";

async function streamOf(bytes: Uint8Array): Promise<DlibStream> {
  const stream = new DlibStream(new MemorySource(bytes, "test.dat"));
  await stream.ahead(bytes.length);
  return stream;
}

async function refused(read: Promise<unknown>, expected: string) {
  const error = await assertRejects(() => read, MasterWeaverError, expected);
  assertEquals(error.code, "bad-checkpoint");
}

const source = (bytes: Uint8Array) => new MemorySource(bytes, "test");

Deno.test("dlib stream: integers of all lengths and signs", async () => {
  const numbers = [0, 1, -1, 255, 256, -65536, 2 ** 32, -(2 ** 40) - 1];
  const all = [...numbers, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER];
  const stream = await streamOf(new DlibWriter().int(...all).bytes);
  assertEquals(all.map(() => stream.integer("a number")), all);
  stream.end();
});

Deno.test("dlib stream: real numbers keep their 53 bits", async () => {
  const all = [0, 1, -0.5, Math.PI, -1 / 3, 3.2744957766996508];
  const stream = await streamOf(
    new DlibWriter().double(...all).int(1, -1074, -3, 900).bytes,
  );
  assertEquals(all.map(() => stream.double("a number")), all);
  assertEquals(stream.double("the smallest number"), 5e-324);
  assertEquals(stream.double("a large number"), -3 * 2 ** 900);
});

Deno.test("dlib stream: invalid numbers are refused", async () => {
  const cases: [number[], string][] = [
    [[], "ends after 0 bytes, inside a number"],
    [[0x00, 1], "starts with the byte 0"],
    [[0x09, 1], "starts with the byte 9"],
    [[0x11, 1], "starts with the byte 17"],
    [[0x04, 1, 2, 3], "ends after 4 bytes, inside a number"],
    [[0x08, ...new Array(8).fill(255)], "over 2^53"],
  ];
  for (const [bytes, expected] of cases) {
    const stream = await streamOf(new Uint8Array(bytes));
    assertThrows(() => stream.integer("a number"), MasterWeaverError, expected);
  }
  for (const exponent of [32000, 32001, 32002, 5000, 1100]) {
    const stream = await streamOf(new DlibWriter().int(1, exponent).bytes);
    assertThrows(
      () => stream.double("a number"),
      MasterWeaverError,
      "a number",
    );
  }
  const stream = await streamOf(new DlibWriter().int(1, 200).bytes);
  assertThrows(() => stream.single("it"), MasterWeaverError, "too large");
});

Deno.test("dlib detector: the numbers of dlib's own file", async () => {
  const detector = await readDlibDetector(
    source(await readFile(facePath("frontal_face_detector.svm"))),
  );
  // As dlib prints them with all 17 digits.
  assertEquals(detector.thresholds, [
    3.2744957766996508,
    3.9868216360740241,
    3.8959356750348184,
    3.5148690352596796,
    3.5580290258303688,
  ]);
  assertEquals(detector.weights.length, 5 * 31 * 10 * 10);
  assertEquals(detector.maxLevels, 1000);
  assertEquals(detector.minLevel, [64, 64]);
  assertEquals(detector.maxOverlap, 0.33008212188056446);
  assertEquals(detector.maxCovered, 0.78857142857142859);
});

Deno.test("dlib detector: files that are cut, longer or of other sizes are refused", async () => {
  const whole = await readFile(facePath("frontal_face_detector.svm"));
  const read = (bytes: Uint8Array) => readDlibDetector(source(bytes));
  await refused(read(whole.subarray(0, 1000)), "it ends after 1000 bytes");
  await refused(read(new Uint8Array(0)), "it ends after 0 bytes");
  await refused(
    read(join([whole, new Uint8Array(3)])),
    "3 bytes follow its end",
  );
  const start = (...numbers: number[]) =>
    read(new DlibWriter().int(...numbers).bytes);
  await refused(start(3), "the version is 3, expected 2");
  await refused(start(2, 1, 0, 0, 4), "the cell size is 4, expected 8");
  await refused(
    start(2, 1, 0, 0, 8, 0, 80, 80, 1e9),
    "the number of levels is 1000000000, expected 1 to 1000",
  );
});

Deno.test("dlib landmarks: a small model", async () => {
  const model = await readDlibPredictor(source(smallPredictor()));
  const { cascades, trees, splits, pixels } = model;
  assertEquals([cascades, trees, splits, pixels], [2, 3, 3, 5]);
  assertEquals(model.leaves.count, 2 * 3 * 4);
  assertEquals(model.anchors.length, 10);
  assertEquals(model.deltas.length, 20);
});

Deno.test("dlib landmarks: hostile counts and indices are refused", async () => {
  const cases: [Parameters<typeof smallPredictor>[0], string][] = [
    [{ version: 2 }, "the version is 2, expected 1"],
    [{ cascades: 1e9 }, "the number of cascades is 1000000000"],
    [{ trees: 1e9 }, "the number of trees is 1000000000"],
    [{ splits: 1e9 }, "the number of splits is 1000000000"],
    [{ cascades: 100, trees: 10000 }, "need more than its"],
    [{ splits: 4 }, "not those of a full tree"],
    [{ leaves: 5 }, "the number of leaves is 5, expected 4"],
    [{ cascades: 3 }, "the number of splits is 5, expected 3"],
    [{ pixels: 1e9, lastPixel: 4 }, "is 1000000000, expected 1 to 65536"],
    [{ lastPixel: 5 }, "a split compares the pixel 5 of 5"],
    [{ lastPixel: 65536 }, "a pixel is 65536"],
    [{ anchors: 300 }, "an anchor is"],
    [{ anchors: 1 }, "an anchor is -"],
  ];
  for (const [change, expected] of cases) {
    const bytes = smallPredictor(change);
    const error = await assertRejects(
      () => readDlibPredictor(source(bytes)),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-checkpoint");
    assertStringIncludes(error.message, expected);
  }
  const whole = smallPredictor();
  await refused(
    readDlibPredictor(source(join([whole, new Uint8Array(1)]))),
    "1 bytes follow its end",
  );
  await refused(
    readDlibPredictor(source(whole.subarray(0, whole.length - 1))),
    "it ends after",
  );
});

Deno.test("dlib files: recognised by their first bytes", async () => {
  const svm = await readFile(facePath("frontal_face_detector.svm"));
  assertEquals(dlibKind(svm), "face_detector");
  assertEquals(dlibKind(smallPredictor()), "landmarks");
  assertEquals(dlibKind(new Uint8Array(0)), undefined);
  await refused(
    readDlibFile(source(new Uint8Array(100)), "f16"),
    "it is neither dlib's frontal face detector",
  );
});

Deno.test("dlib files: damage is refused or harmless, never a crash", async () => {
  const svm = await readFile(facePath("frontal_face_detector.svm"));
  // Most flips only change a weight, so fewer are refused than not.
  const detectors = await fuzz(svm, 2000, readDlibDetector);
  assert(detectors > 500, `${detectors} of 2000 were refused`);
  const predictors = await fuzz(smallPredictor(), 4000, async (source) => {
    const { content } = await readDlibFile(source, "f16");
    assertEquals(content.component, "landmarks");
  });
  assert(predictors > 1000, `${predictors} of 4000 were refused`);
});
