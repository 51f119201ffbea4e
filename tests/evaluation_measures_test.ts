/**
 * What an evaluation computes from embeddings and files: similarities, ranks,
 * intervals, people and prompts.
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { EDITS } from "../src/train/data/edit_prompts.ts";
import type { DatasetFiles } from "../src/train/data/layout.ts";
import { RandomStream } from "../src/train/data/random.ts";
import { clusterBootstrap } from "../src/train/evaluation/bootstrap.ts";
import {
  editPrompt,
  NINE_EDITS,
  wordFor,
} from "../src/train/evaluation/nine_edits.ts";
import { choosePeople, listPeople } from "../src/train/evaluation/people.ts";
import {
  compareImages,
  scoreImage,
  summarise,
  summariseGain,
} from "../src/train/evaluation/scores.ts";
import { cosine, rankAmong } from "../src/train/evaluation/similarity.ts";

Deno.test("evaluation: cosines of directions, whatever their lengths", () => {
  assertAlmostEquals(cosine([3, 4], [6, 8]), 1);
  assertAlmostEquals(cosine([1, 0], [0, 5]), 0);
  assertAlmostEquals(cosine([1, 2], [-2, -4]), -1);
  assertAlmostEquals(cosine([1, 1], [1, 0]), Math.SQRT1_2);
  assertEquals(cosine([0, 0], [1, 2]), 0);
  assertThrows(
    () => cosine([1], [1, 2]),
    MasterWeaverError,
    "Embeddings of 1 and 2 numbers cannot be compared",
  );
});

Deno.test("evaluation: a draw does not rank first, nor what is no number", () => {
  assertEquals(rankAmong(3, [1, 2]), 1);
  assertEquals(rankAmong(2, [1, 3]), 2);
  assertEquals(rankAmong(2, [2, 1]), 2);
  assertEquals(rankAmong(0, [1, 2, 3]), 4);
  assertEquals(rankAmong(NaN, [1, 2]), 3);
});

Deno.test("evaluation: intervals hold the mean as often as they promise", () => {
  // 20 people with means of their own, 5 images each: a usual interval over all
  // images would be far too narrow.
  const runs = 300;
  let held = 0;
  for (let run = 0; run < runs; run++) {
    const stream = new RandomStream(run, "test");
    const groups = Array.from({ length: 20 }, () => {
      const person = stream.normal();
      return Array.from({ length: 5 }, () => person + 0.3 * stream.normal());
    });
    const { low, high } = clusterBootstrap(groups, { seed: 7, resamples: 400 });
    if (low <= 0 && 0 <= high) held++;
  }
  // 95 %, less what percentiles of 20 groups fall short; ± 3 standard errors.
  assert(held / runs > 0.88 && held / runs < 0.98, `${held / runs}`);
});

Deno.test("evaluation: intervals are the same for the same seed", () => {
  const groups = [[1, 2], [], [3], [4, 8, 6]];
  const one = clusterBootstrap(groups, { seed: 1 });
  assertEquals(one, clusterBootstrap(groups, { seed: 1 }));
  assertEquals(one.mean, 4);
  assertEquals([one.groups, one.values], [3, 6]);
  assert(one.low < 4 && 4 < one.high);
  const wider = clusterBootstrap(groups, { seed: 1, confidence: 0.99 });
  assert(wider.low <= one.low && wider.high >= one.high);
  const single = clusterBootstrap([[1, 3]], { seed: 1 });
  assertEquals([single.low, single.high], [2, 2]);
  for (
    const [given, options, message] of [
      [[[], []], {}, "no values"],
      [[[1]], { confidence: 1 }, "a confidence of 1"],
      [[[1]], { resamples: 0 }, "0 resamples"],
    ] as const
  ) {
    assertThrows(
      () => clusterBootstrap(given, { seed: 1, ...options }),
      MasterWeaverError,
      message,
    );
  }
});

Deno.test("evaluation: the nine edits are the reference's or the recipe's, and differ", () => {
  const places = ["{} in the snow", "{} at night"];
  assertEquals(NINE_EDITS.length, 9);
  assertEquals(new Set(NINE_EDITS).size, 9);
  for (const edit of NINE_EDITS) {
    assert(EDITS.includes(edit) || places.includes(edit), edit);
  }
  assertEquals(
    editPrompt("{} with red hair", wordFor("female")),
    "a photo of a woman with red hair",
  );
  assertEquals([wordFor("male"), wordFor(undefined)], ["man", "person"]);
});

const embedding = (...numbers: number[]) => ({
  features: Float32Array.from(numbers),
  clip: Float32Array.from(numbers),
  identity: Float32Array.from(numbers),
});

Deno.test("evaluation: an image is scored by all that the model has", () => {
  const image = embedding(1, 0);
  const reference = embedding(0, 1);
  const prompts = [[1, 1], [1, 0], [0, 1]].map((p) => Float32Array.from(p));
  const first = scoreImage({ image, reference, prompts, asked: 1 });
  assertEquals(first, {
    scores: { clipT: 1, clipI: 0, faceSimilarity: 0, editFirst: 1 },
    rank: 1,
  });
  const second = scoreImage({ image, reference, prompts, asked: 0 });
  assertAlmostEquals(second.scores.clipT!, Math.SQRT1_2);
  assertEquals([second.rank, second.scores.editFirst], [2, 0]);
  const bare = { features: Float32Array.of(1, 1) };
  assertEquals(
    Object.keys(scoreImage({ image: bare, reference: bare, asked: 0 }).scores),
    ["featureSimilarity"],
  );
  assertEquals(compareImages(bare, image), {
    featureSimilarity: cosine([1, 1], [1, 0]),
  });
});

Deno.test("evaluation: a gain is taken image by image", () => {
  const before = [[{ clipT: 0.1 }, { clipT: 0.9 }], [{ clipT: 0.5 }]];
  const after = [[{ clipT: 0.2 }, { clipT: 1 }], [{ clipT: 0.6 }]];
  const { clipT, clipI } = summariseGain(before, after, 1);
  assertAlmostEquals(clipT!.mean, 0.1);
  assertAlmostEquals(clipT!.low, 0.1);
  assertAlmostEquals(clipT!.high, 0.1);
  assertEquals(clipI, undefined);
  assertAlmostEquals(summarise(after, 1).clipT!.mean, 0.6);
});

/** A data set of these files; folders follow from their paths. */
function dataset(files: Readonly<Record<string, string>>): DatasetFiles {
  return {
    list(folder) {
      const names = Object.keys(files)
        .filter((path) => path.startsWith(`${folder}/`))
        .map((path) => path.slice(folder.length + 1));
      return Promise.resolve(names.length > 0 ? names : undefined);
    },
    read(path) {
      const text = files[path];
      return Promise.resolve(
        text === undefined ? undefined : new TextEncoder().encode(text),
      );
    },
  };
}

const IMAGES = {
  "images_cropped/000000_0.jpg": "",
  "images_cropped/000000_1.jpg": "",
  "images_cropped/000001_0.jpg": "",
};
const line = (id: string, identity: unknown, gender?: string) =>
  `${JSON.stringify({ id, identity, gender })}\n`;

Deno.test("evaluation: people come from identities.jsonl, else each image is one", async () => {
  assertEquals(await listPeople(dataset(IMAGES)), [
    { identity: "000000_0", images: ["000000_0"] },
    { identity: "000000_1", images: ["000000_1"] },
    { identity: "000001_0", images: ["000001_0"] },
  ]);
  const identities = line("000000_0", 0, "male") + "\n" +
    line("000000_1", 0, "male") + line("000001_0", "b") + line("gone", 7);
  assertEquals(
    await listPeople(dataset({ ...IMAGES, "identities.jsonl": identities })),
    [
      { identity: "0", gender: "male", images: ["000000_0", "000000_1"] },
      { identity: "b", images: ["000001_0"] },
    ],
  );
});

Deno.test("evaluation: a data set that names nobody is refused", async () => {
  const cases: [Record<string, string>, string][] = [
    [{}, "images_cropped is missing or without any <id>.jpg"],
    [{ "identities.jsonl": line("a", 1) }, "images_cropped is missing"],
    [{ ...IMAGES, "identities.jsonl": "" }, "names none of the images"],
    [{ ...IMAGES, "identities.jsonl": line("x", 1) }, "names none"],
    [{ ...IMAGES, "identities.jsonl": "{" }, "line 1 of identities.jsonl"],
    [
      { ...IMAGES, "identities.jsonl": line("000000_0", 1) + line("../a", 1) },
      "line 2 of identities.jsonl",
    ],
    [{ ...IMAGES, "identities.jsonl": line("000000_0", null) }, "line 1"],
  ];
  for (const [files, message] of cases) {
    const error = await assertRejects(
      () => listPeople(dataset(files)),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-data");
  }
});

Deno.test("evaluation: people are chosen at equal steps, and the same each time", () => {
  const people = Array.from({ length: 200 }, (_, i) => ({
    identity: String(i),
    images: [String(i)],
  }));
  const names = choosePeople(people, 16).map(({ identity }) => identity);
  assertEquals(
    names.join(" "),
    "0 12 24 36 48 60 72 84 96 108 120 132 144 156 168 180",
  );
  assertEquals(choosePeople(people.slice(0, 3), 16).length, 3);
});
