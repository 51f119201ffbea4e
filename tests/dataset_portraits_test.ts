/**
 * Drawn portraits: the people of a seed are always the same, and files, masks
 * and landmarks say what the drawing shows.
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { makePortraits } from "../tools/dataset/portraits.ts";
import { faceOf } from "../tools/dataset/portraits/face.ts";
import {
  flatDrawings,
  labelMap,
} from "../tools/dataset/portraits/label_map.ts";
import {
  PART_NAMES,
  type PartDrawings,
} from "../tools/dataset/portraits/packages.ts";
import { planPeople } from "../tools/dataset/portraits/people.ts";
import { readImage } from "../src/host/files.ts";
import { DatasetLayout } from "../tools/dataset/layout.ts";
import { filesIn, readNpy } from "./support/datasets.ts";
import { inFolder } from "./support/file_systems.ts";

Deno.test("portraits: a seed's people are those of the mini model's recipe", () => {
  const [first] = planPeople(99, 1, 2);
  assertEquals(first.identity.gender, "male");
  assertEquals(first.portraits.map(({ captions }) => captions), [
    [
      "a photo of a smiling chubby male with red hair with a beard wearing eyeglasses in a white baseball jersey at night",
      "a photo of a smiling male wearing eyeglasses in a white baseball jersey",
      "a good photo of a smiling boy with red hair with eyeglasses",
    ],
    [
      "a chubby man with eyeglasses in a red football jersey on a grey background",
      "a photo of a chubby man with curly red hair with a mustache with eyeglasses",
      "a photo of a man with curly red hair with a mustache wearing eyeglasses in a red football jersey on a grey background",
    ],
  ]);
  // Far into the sequence, where one draw more or less would show.
  const last = [...planPeople(99, 60, 4)].at(-1)!.portraits.at(-1)!;
  assertEquals(last.captions[2], LAST_CAPTION);
});

Deno.test("portraits: appearances of a person share what makes the identity", () => {
  for (const { identity, portraits } of planPeople(5, 20, 4)) {
    const faces = portraits.map(({ appearance }) =>
      faceOf(identity, appearance)
    );
    for (const part of ["head", "eye", "nose", "ear", "body"] as const) {
      for (const face of faces) {
        assertEquals(face.parts[part], faces[0].parts[part]);
        assertEquals(face.parts.eyebrow.id, faces[0].parts.eyebrow.id);
      }
    }
  }
});

Deno.test("portraits: every colour of a part becomes its class", () => {
  const svg = (content: string) => ({ one: content });
  const none = Object.fromEntries(PART_NAMES.map((name) => [name, {}]));
  const { mouth, eye, hair } = flatDrawings({
    ...none as PartDrawings,
    mouth: svg('<path d="M0 0" style="fill:#fff;stroke:#000;opacity:.5"/>'),
    eye: svg('<g fill="#fff" stroke="none" opacity=".2"><path d="M0 0"/></g>'),
    hair: svg('<style>.a{fill:red}</style><path class="a" d="M0 0"/>'),
  });
  const [lips, white, strand] = [12, 4, 17].map((c) =>
    `rgb(${[c, c, c].map((c) => c * 10)})`
  );
  assertEquals(mouth.one.match(/(fill|stroke):[^;"]*/g), [
    `fill:${lips}`,
    `stroke:${lips}`,
  ]);
  assertEquals(eye.one.match(/(fill|stroke)="[^"]*"/g), [
    `fill="${white}"`,
    'stroke="none"',
    `fill="${white}"`,
  ]);
  assertEquals(hair.one.match(/fill[^ ]*/g), [`fill="${strand}"`]);
  for (const part of [mouth, eye, hair]) {
    assert(!/opacity|class/.test(part.one));
  }
  const data = Uint8Array.of(170, 170, 170, 255, 90, 90, 90, 100);
  assertEquals([...labelMap({ width: 2, height: 1, data })], [17, 0]);
});

Deno.test("portraits: a list of identities of something else is left alone", () =>
  inFolder(async (output) => {
    const list = `${output}/identities.jsonl`;
    await Deno.writeTextFile(list, "mine");
    const task = { output, count: 1, seed: 1, appearances: 1, size: 32 };
    const error = await assertRejects(
      () => makePortraits({ ...task, workers: 1, quiet: true }),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-option");
    assertEquals(await Deno.readTextFile(list), "mine");
    assertEquals((await filesIn(output)).size, 1);
  }));

Deno.test("portraits: files are complete, agree with each other, and are made once", () =>
  inFolder(async (folder) => {
    const output = `${folder}/set`;
    const size = 96;
    const task = { output, count: 2, seed: 99, appearances: 3, size };
    const options = { ...task, workers: 2, quiet: true };
    const summary = await makePortraits(options);
    assertEquals([summary.portraits, summary.drawn], [6, 6]);

    const files = await filesIn(output);
    // Image, face, landmarks, mask, captions, and two other appearances; two lists.
    assertEquals(files.size, 6 * 7 + 2);
    const layout = new DatasetLayout(output);
    const lines = (await Deno.readTextFile(`${output}/identities.jsonl`))
      .trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map(({ id }) => id), IDS);
    for (const { id, captions } of lines) {
      const caption = await Deno.readTextFile(layout.caption(id));
      assertEquals(caption.trim().split("\n"), captions);
      await checkFace(layout, id, size);
      const [other] = IDS.filter((other) =>
        other !== id && other.slice(0, 6) === id.slice(0, 6)
      );
      await checkOther(layout, id, other);
    }
    const [eyes, others] = await Promise.all(
      ["000000_0", "000000_2"].map((id) => readNpy(layout.landmarks(id, "0"))),
    );
    assertEquals(eyes.subarray(72, 96), others.subarray(72, 96));

    // What is missing is made again to the byte; the rest is left alone.
    await Deno.remove(layout.mask("000001_1", "0"));
    await Deno.writeFile(layout.image("000000_0"), new Uint8Array());
    assertEquals((await makePortraits(options)).drawn, 6);
    assertEquals((await makePortraits(options)).drawn, 0);
    assertEquals(await filesIn(output), files);

    assertEquals((await makePortraits({ ...options, count: 3 })).drawn, 3);
    const more = await filesIn(output);
    assertEquals(
      more.get("captions/000000_0.txt"),
      files.get("captions/000000_0.txt"),
    );
    await assertRejects(
      () => makePortraits({ ...options, seed: 98 }),
      MasterWeaverError,
      "holds portraits of --seed 99, got 98; give that, or another folder",
    );
    assertEquals(await filesIn(output), more);
  }));

const LAST_CAPTION =
  "a photo of a sad girl with eyeglasses in a purple football jersey";
const IDS = [0, 1].flatMap((person) =>
  [0, 1, 2].map((appearance) => `00000${person}_${appearance}`)
);

/** Classes that may be seen where a part is: glasses, hair and beards cover it. */
const EXPECTED:
  readonly (readonly [from: number, to: number, classes: readonly number[]])[] =
    [
      [27, 31, [1, 6, 10]],
      [31, 36, [1, 10]],
      [36, 48, [1, 4, 6, 17]],
      [48, 68, [1, 12]],
    ];

/** Checks that the landmarks of a face lie in their parts of the label map. */
async function checkFace(
  layout: DatasetLayout,
  id: string,
  size: number,
): Promise<void> {
  const mask = await readImage(layout.mask(id, "0"));
  const face = await readImage(layout.face(id, "0"));
  assertEquals([mask.width, mask.height, face.width], [size, size, size]);
  for (let i = 0; i < mask.data.length; i += 4) assert(mask.data[i] <= 18);
  const points = await readNpy(layout.landmarks(id, "0"));
  assertEquals(points.length, 136);
  assert(points.every((value) => value >= 0 && value < size), `${points}`);
  const classAt = (i: number) => {
    const [x, y] = [points[2 * i], points[2 * i + 1]].map(Math.floor);
    return mask.data[4 * (y * size + x)];
  };
  for (const [from, to, classes] of EXPECTED) {
    for (let i = from; i < to; i++) {
      assert(classes.includes(classAt(i)), `${id}: ${i} is in ${classAt(i)}`);
    }
  }
  // The chin is below the mouth, the temples beside the eyes.
  assert(points[2 * 8 + 1] > points[2 * 57 + 1]);
  assert(points[0] < points[72] && points[32] > points[90]);
  assertAlmostEquals(points[0] + points[32], 2 * points[16], 4);
}

/** Checks that another appearance is the other portrait's face, on black. */
async function checkOther(
  layout: DatasetLayout,
  id: string,
  other: string,
): Promise<void> {
  const alone = await readImage(`${layout.otherFaces(id, "0")}/${other}.jpg`);
  const whole = await readImage(layout.face(other, "0"));
  const mask = await readImage(layout.mask(other, "0"));
  let background = 0, face = 0;
  const pixels = [0, 0];
  for (let i = 0; i < mask.data.length; i += 4) {
    const isFace = mask.data[i] === 1;
    if (isFace) face += Math.abs(alone.data[i] - whole.data[i]);
    if (mask.data[i] === 0) background += alone.data[i];
    pixels[Number(isFace)]++;
  }
  assert(background / pixels[0] < 8 && face / pixels[1] < 8);
}
