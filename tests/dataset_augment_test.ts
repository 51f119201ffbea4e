/**
 * Other appearances of faces: who is the same, what changes, and that a run can
 * be repeated.
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { alignFace } from "../src/face/align.ts";
import { encodeJpeg } from "../src/host/codecs/codec.ts";
import { readImage } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import { augmentDataset } from "../tools/dataset/augment.ts";
import { changeFace, CHANGES } from "../tools/dataset/augment/changes.ts";
import { listFaces, nameOf } from "../tools/dataset/augment/faces.ts";
import { alignLandmarks } from "../tools/dataset/augment/landmarks.ts";
import { byFolder, matchFaces } from "../tools/dataset/augment/people.ts";
import { boxBlur } from "../tools/dataset/augment/pixels.ts";
import { encodeGrayPng } from "../tools/dataset/gray_png.ts";
import { DatasetLayout } from "../tools/dataset/layout.ts";
import { encodeNpy } from "../tools/dataset/npy.ts";
import { Random } from "../tools/dataset/random.ts";
import { writeWhole, writeWholeText } from "../tools/dataset/whole_file.ts";
import { filesIn } from "./support/datasets.ts";
import { flat, knownImages } from "./support/faces.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const SIZE = 512;

/** A grey face below brown hair, background around. */
function face(): { image: Image; classes: Uint8Array } {
  const image = flat(SIZE, SIZE);
  const classes = new Uint8Array(SIZE * SIZE);
  for (let y = 64; y < 448; y++) {
    for (let x = 64; x < 448; x++) {
      classes[y * SIZE + x] = y < 192 ? 17 : 1;
      if (y < 192) image.data.set([90, 60 + x % 9, 30], 4 * (y * SIZE + x));
    }
  }
  return { image, classes };
}

const [known] = await knownImages();
const { landmarks } = known.faces[0];

Deno.test("augment: a box blur is the mean of what is there", () => {
  const values = Float32Array.of(0, 3, 6, 9, 0, 0);
  const means = [1.5, 3, 6, 5, 3, 0];
  assertEquals([...boxBlur(values, 6, 1, 1)], means);
  assertEquals([...boxBlur(values, 1, 6, 1)], means);
});

Deno.test("augment: landmarks lie in the aligned face as FFHQ puts them", async () => {
  const placed = alignLandmarks(landmarks, SIZE);
  const eye = (first: number) =>
    [0, 1].map((axis) =>
      placed.slice(first, first + 6).reduce((sum, p) => sum + p[axis], 0) / 6
    );
  const [left, right] = [eye(36), eye(42)];
  assertAlmostEquals((left[0] + right[0]) / 2, SIZE / 2, 15);
  assert(left[0] < right[0] && left[1] < placed[57][1]);
  // A mark on an eye's corner is where the landmark says.
  const marked = { ...known.image, data: known.image.data.slice() };
  const [x, y] = landmarks[36].map(Math.round);
  for (let dy = -3; dy <= 3; dy++) {
    for (let dx = -3; dx <= 3; dx++) {
      marked.data.set(
        [0, 255, 0, 255],
        4 * ((y + dy) * marked.width + x + dx),
      );
    }
  }
  const aligned = await alignFace(marked, landmarks);
  const [px, py] = placed[36].map(Math.round);
  const p = 4 * (py * SIZE + px);
  assert(aligned.data[p + 1] > 200 && aligned.data[p] < 80);
});

Deno.test("augment: each change changes its part alone, by the seed", () => {
  const parsed = { ...face(), landmarks: alignLandmarks(landmarks, SIZE) };
  const at = (image: Image, x: number, y: number) => [
    ...image.data.subarray(4 * (y * SIZE + x), 4 * (y * SIZE + x) + 3),
  ];
  for (const change of CHANGES) {
    const make = (seed: string) => changeFace(parsed, change, Random.of(seed))!;
    const [one, again, other] = [make("1"), make("1"), make("2")];
    assertEquals(one.data, again.data);
    assert(one.data.some((value, i) => value !== other.data[i]), change);
    assertEquals(at(one, 5, 5), [0, 0, 0], "background");
    // Light keeps grey nearly grey, so that the face stays the same.
    const [red, green, blue] = at(one, 256, 420);
    assert(red > 40 && Math.max(red, green, blue) < 2 * green, change);
    const hair = at(one, 256, 130);
    if (change === "hair-hidden") assertEquals(hair, [0, 0, 0]);
    else assert(Math.max(...hair) > 10, change);
  }
  const bald = {
    ...parsed,
    classes: parsed.classes.map((c) => c === 17 ? 1 : c),
  };
  const random = new Random(1);
  assertEquals(changeFace(bald, "hair-blur", random), undefined);
  const { image, classes } = parsed;
  assertEquals(changeFace({ image, classes }, "glasses", random), undefined);
});

Deno.test("augment: people are matched within folders, across photos", () => {
  const files = new Map([["a", "x/1"], ["b", "x/2"], ["c", "y/1"], [
    "d",
    "y/2",
  ]]);
  const name = (id: string, face = "0") => ({ id, face });
  const faces = ["a", "b", "c", "e"].map((id) => name(id));
  assertEquals(byFolder([...faces, name("a", "1")], files), [
    [name("a"), name("b"), name("a", "1")],
  ]);
  const embedded = (id: string, angle: number, face = "0") => ({
    face: name(id, face),
    vector: Float32Array.of(Math.cos(angle), Math.sin(angle)),
  });
  const { same, similarities } = matchFaces([
    embedded("a", 0),
    embedded("a", 0.01, "1"),
    embedded("b", 0.2),
    embedded("c", 0.1),
    embedded("d", 2),
  ], 0.9);
  assertEquals(same.get("a/0"), [name("c"), name("b")]);
  assertEquals(same.get("d/0"), []);
  assertEquals(similarities.length, 9);
});

/** A dataset of one face per id, with the folder each photo came from. */
async function datasetIn(
  root: string,
  files: Readonly<Record<string, string>>,
): Promise<DatasetLayout> {
  const layout = new DatasetLayout(root);
  const { image, classes } = face();
  const points = Float32Array.from(landmarks.flat());
  for (const id of Object.keys(files)) {
    const own = { ...image, data: image.data.slice() };
    // Those of `b` are of another colour, and so of another person.
    if (id.startsWith("b")) {
      own.data.forEach((_, i) => i % 4 === 1 && (own.data[i] = 255));
    }
    writeWhole(layout.face(id, "0"), encodeJpeg(own, "", 95));
    writeWhole(layout.mask(id, "0"), encodeGrayPng(classes, SIZE, SIZE));
    writeWhole(layout.landmarks(id, "0"), encodeNpy(points, [68, 2]));
  }
  const lines = Object.entries(files).map(([id, file]) =>
    JSON.stringify({ id, file, faces: 1 })
  );
  await Promise.resolve(
    writeWholeText(`${root}/photos.jsonl`, lines.join("\n")),
  );
  return layout;
}

const options = (root: string) => ({
  root,
  threshold: 0.995,
  model: repositoryPath("weights/mini"),
  seed: 1,
  workers: 2,
  quiet: true,
});

Deno.test("augment: changes are made once, by seed; what is broken is named", () =>
  inFolder(async (root) => {
    const layout = await datasetIn(root, {
      a: "1/a.jpg",
      b: "2/b.jpg",
      c: "3/c.jpg",
    });
    writeWhole(`${layout.otherFaces("c", "0")}/mine.jpg`, Uint8Array.of(1));
    await Deno.writeFile(layout.mask("b", "0"), Uint8Array.of(1, 2, 3));
    const first = await augmentDataset(options(root));
    assertEquals(
      [first.withChanges, first.withPhotos, first.leftAlone, first.made],
      [1, 0, 1, 1],
    );
    assert(
      /b\/0\.png is not a PNG/.test(first.faults["b/0"]),
      first.faults["b/0"],
    );
    const files = await filesIn(root);
    const own = [...files.keys()].filter((path) => path.includes("_aug/a/"));
    assertEquals(own.length, CHANGES.length);
    await readImage(`${root}/${own[0]}`);

    assertEquals((await augmentDataset(options(root))).made, 0);
    await Deno.remove(`${root}/${own[0]}`);
    assertEquals((await augmentDataset(options(root))).made, 1);
    assertEquals(await filesIn(root), files);
    await augmentDataset({ ...options(root), seed: 2 });
    const reseeded = await filesIn(root);
    assert(reseeded.get(own[0]) !== files.get(own[0]));
    assertEquals(listFaces(layout).map(nameOf), ["a/0", "b/0", "c/0"]);
  }));

gpuTest(
  "augment: other photos of a person take the place of changes",
  () =>
    inFolder(async (root) => {
      const photos = { a1: "x/1.jpg", a2: "x/2.jpg", b: "x/3.jpg" };
      const layout = await datasetIn(root, photos);
      const first = await augmentDataset(options(root));
      assertEquals([first.withPhotos, first.withChanges], [2, 1]);
      assertEquals(first.similarities?.pairs, 3);
      const same = `${layout.otherFaces("a1", "0")}/same-a2-0.jpg`;
      const other = await readImage(same);
      assertEquals([...other.data.subarray(0, 3)], [0, 0, 0]);
      // With a threshold that nobody reaches, the old files go.
      const none = await augmentDataset({ ...options(root), threshold: 1 });
      assertEquals(none.withChanges + none.withPhotos, 3);
      assertEquals(
        (await augmentDataset({ ...options(root), threshold: 1 })).made,
        0,
      );
    }),
);
