/**
 * Faces that a script gives: those that are not in the photo are refused by name,
 * and never cause a hang, a crash or an image of nothing.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { FaceFinder } from "../src/face/finder.ts";
import {
  knownAligned,
  knownImages,
  landmarkTest,
  miniDetector,
  realPredictor,
} from "./support/faces.ts";

const { image: photo, faces: [known] } = (await knownImages())
  .find(({ name }) => name === "astronaut_face")!;
const { landmarks } = known;

async function refused(finder: FaceFinder, face: unknown, why: string) {
  const error = await assertRejects(
    () => finder.align(photo, face as typeof known),
    MasterWeaverError,
    why,
  );
  assertEquals(error.code, "bad-option");
}

const rect = (
  left: unknown,
  top: unknown,
  right: unknown,
  bottom: unknown,
) => ({
  rect: { left, top, right, bottom },
});

Deno.test("face input: invalid rectangles are refused by name", async () => {
  const finder = new FaceFinder(await miniDetector());
  const cases: [face: unknown, why: string][] = [
    [undefined, "the value undefined: expected a rectangle or landmarks"],
    [null, "the value null"],
    ["best", 'the value "best"'],
    [{}, "the rectangle undefined, undefined"],
    [{ rect: null }, "left, top, right and bottom as finite numbers"],
    [{ rect: [0, 0, 9, 9] }, "as finite numbers"],
    [rect(NaN, 0, 79, 79), "the rectangle NaN, 0, 79, 79"],
    [rect(0, -Infinity, 79, 79), "as finite numbers"],
    [rect("0", 0, 79, 79), 'the rectangle "0", 0, 79, 79'],
    [rect(79, 0, 0, 79), "its left before its right"],
    [rect(5, 5, 5, 5), "its top before its bottom"],
    [rect(0, 0, 1e9, 1e9), "sides of up to"],
    [rect(-1e7, -1e7, 1e7, 1e7), "sides of up to"],
    [rect(600, 0, 679, 79), "one that overlaps the photo of"],
    [rect(0, -90, 79, -11), "one that overlaps the photo of"],
  ];
  for (const [face, why] of cases) await refused(finder, face, why);
});

Deno.test("face input: invalid landmarks are refused by name", async () => {
  const finder = new FaceFinder(await miniDetector());
  const with0 = (point: unknown) => [point, ...landmarks.slice(1)];
  const moved = (scale: number, by: number) =>
    landmarks.map(([x, y]) => [x * scale + by, y * scale + by]);
  const cases: [landmarks: unknown, why: string][] = [
    [null, "landmarks that are null"],
    ["68", 'landmarks that are "68"'],
    [{ 0: [1, 2] }, "expected 68 points"],
    [[], "0 landmarks: expected 68"],
    [new Array(68), "landmark 0 at undefined"],
    [with0([NaN, 3]), "landmark 0 at [NaN, 3]"],
    [with0(["1", "2"]), "landmark 0 at [1, 2]"],
    [with0([1, 2, 3]), "landmark 0 at [1, 2, 3]"],
    [[...landmarks.slice(1), [1, Infinity]], "landmark 67 at [1, Infinity]"],
    [moved(0, 5), "a face of 0 pixels"],
    [moved(1e4, 0), "expected 8 to 65536"],
    [moved(20, -1000), "expected up to"],
    [moved(1, 1e6), "outside the photo"],
    [moved(1, 1e300), "a face of 0 pixels"],
  ];
  for (const [points, why] of cases) {
    await refused(finder, { rect: known.rect, landmarks: points }, why);
  }
  await refused(finder, { ...rect(NaN, 0, 1, 1), landmarks }, "finite numbers");
  // A rectangle is not needed beside them, and a part of a face is aligned.
  const aligned = await finder.align(photo, { landmarks } as typeof known);
  assertEquals(aligned, await knownAligned("astronaut_face", 0));
});

landmarkTest(
  "face input: a rectangle over the edge gives an aligned face",
  async () => {
    const finder = new FaceFinder(await miniDetector(), await realPredictor());
    for (
      const [left, top, right, bottom] of [
        [-40, -40, 60, 60],
        [0.5, 0.25, 80.75, 80],
        [-100, -100, 230, 230],
      ]
    ) {
      const { width, data } = await finder.align(photo, {
        rect: { left, top, right, bottom },
      });
      assertEquals([width, data.length], [512, 512 * 512 * 4]);
      assertEquals(data.every((v, i) => i % 4 !== 3 || v === 255), true);
    }
  },
);
