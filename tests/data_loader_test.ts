/**
 * The data loader: the same batch whatever the number of Workers, broken files
 * skipped and named, missing parts refused.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { encodeJpeg, encodePng } from "../src/host/codecs/codec.ts";
import { crc32 } from "../src/weights/crc32.ts";
import * as layout from "../src/train/data/layout.ts";
import type { TrainingSample } from "../src/train/data/training_sample.ts";
import { FeatureCache } from "../tools/train/data/cache.ts";
import { decodeClasses, imageSize } from "../tools/train/data/decode.ts";
import { BrokenIds } from "../tools/train/data/broken_ids.ts";
import { DataLoader, type LoaderOptions } from "../tools/train/data/loader.ts";
import {
  drawDataset,
  drawnId,
  grayPng,
  npyFile,
  palettePng,
  writeFile,
} from "./support/dataset.ts";

const COUNT = 7;
const options: LoaderOptions = {
  samples: {
    stage: 2,
    resolution: 32,
    faceSide: 48,
    visionSide: 28,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  },
  seed: 5,
  batch: 4,
  workers: 0,
};

/** Runs a test in a data set of its own. */
async function withDataset(
  test: (root: string) => Promise<void>,
  count = COUNT,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await drawDataset(root, { count });
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** The batches of some steps. */
async function batches(
  root: string,
  steps: readonly number[],
  changes: Partial<LoaderOptions> = {},
): Promise<TrainingSample[][]> {
  await using loader = await DataLoader.open(root, { ...options, ...changes });
  const found: TrainingSample[][] = [];
  for (const step of steps) found.push(await loader.batch(step));
  return found;
}

/** What batches hold, short enough to compare fast: arrays by length and checksum. */
function brief(batches: readonly (readonly TrainingSample[])[]): string[] {
  const array = (values?: Float32Array<ArrayBuffer>) =>
    values && `${values.length} ${crc32(new Uint8Array(values.buffer))}`;
  const input = (one: TrainingSample["references"][number]) =>
    one && `${one.key} ${array(one.pixels)} ${array(one.cached)}`;
  return batches.map((batch) =>
    batch.map(({ id, caption, image, references, faceBox }) =>
      [id, caption, ...[image, ...references].map(input), array(faceBox)]
        .join("; ")
    ).join("\n")
  );
}

const steps = [0, 1, 2, 3];

Deno.test("data loader: a batch is the same whatever the Workers and the steps before", async () => {
  await withDataset(async (root) => {
    const read = async (...args: [number[], Partial<LoaderOptions>?]) =>
      brief(await batches(root, ...args));
    const alone = await read(steps);
    assertEquals(await read(steps, { workers: 1 }), alone);
    assertEquals(await read(steps, { workers: 3, ahead: 3 }), alone);
    assertEquals(await read([2], { workers: 2 }), [alone[2]]);
    assertEquals(await read([3, 1]), [alone[3], alone[1]]);
    const other = await read(steps, { seed: 6 });
    assert(other.every((batch, i) => batch !== alone[i]));
  });
});

Deno.test("data loader: two ranks together see what one sees", async () => {
  await withDataset(async (root) => {
    const whole = await batches(root, steps);
    const [first, second] = await Promise.all(
      [0, 1].map((rank) =>
        batches(root, steps, { batch: 2, shard: { rank, ranks: 2 } })
      ),
    );
    // The first rank has both ends of a batch, the second what is between.
    const together = first.map(([start, end], i) => [start, ...second[i], end]);
    assertEquals(brief(together), brief(whole));
  });
});

Deno.test("data loader: samples have the shapes and values that networks take", async () => {
  await withDataset(async (root) => {
    const samples = (await batches(root, [0, 1, 2, 3, 4, 5])).flat();
    // 24 samples of 7 ids: each id three times or more.
    for (let i = 0; i < COUNT; i++) {
      assert(samples.filter(({ id }) => id === drawnId(i)).length >= 3);
    }
    for (const { id, caption, image, references, faceBox } of samples) {
      const text = `a photo of person ${Number(id.slice(0, 6))}`;
      assert(["", text].includes(caption), caption);
      const pixels = image.pixels!;
      assertEquals(pixels.length, 32 * 32 * 4);
      assert(pixels.every((value) => value >= -1 && value <= 1));
      assert(pixels.every((value, i) => i % 4 !== 3 || value === 0));
      assertEquals(references.length, 3);
      for (const reference of references) {
        if (reference) assertEquals(reference.pixels?.length, 28 * 28 * 4);
      }
      const inside = faceBox.reduce((sum, value) => sum + value, 0);
      assert(inside > 100 && inside < 1000, `${inside}`);
    }
    const references = samples.flatMap(({ references }) => references);
    assert(references.some((reference) => reference === null));
    assert(references.some((reference) => reference !== null));
  });
});

/** One way to break the files of an id, and what is said of it. */
interface Fault {
  readonly name: string;
  readonly reason: string;
  readonly make: (root: string, id: string) => Promise<void>;
}

const text = (words: string) => new TextEncoder().encode(words);

async function cutInTheMiddle(path: string): Promise<void> {
  const file = await Deno.readFile(path);
  await Deno.writeFile(path, file.subarray(0, file.length / 2));
}

const faults: readonly Fault[] = [
  {
    name: "image cut in the middle",
    reason: "is cut off",
    make: (root, id) => cutInTheMiddle(`${root}/${layout.imagePath(id)}`),
  },
  {
    name: "face cut in the middle",
    reason: "is cut off",
    make: (root, id) => cutInTheMiddle(`${root}/${layout.facePath(id, "0")}`),
  },
  {
    name: "mask cut in the middle",
    reason: "is cut off",
    make: (root, id) => cutInTheMiddle(`${root}/${layout.maskPath(id, "0")}`),
  },
  {
    name: "empty caption",
    reason: "is empty",
    make: (root, id) =>
      Deno.writeFile(`${root}/${layout.captionPath(id)}`, text(" \nmore")),
  },
  {
    name: "caption that is not UTF-8",
    reason: "is not UTF-8",
    make: (root, id) =>
      Deno.writeFile(
        `${root}/${layout.captionPath(id)}`,
        Uint8Array.of(0x61, 0xff, 0x61),
      ),
  },
  {
    name: "missing caption",
    reason: "is missing",
    make: (root, id) => Deno.remove(`${root}/${layout.captionPath(id)}`),
  },
  {
    name: "mask of another size",
    reason: "is 40 × 48, expected 48 × 48",
    make: async (root, id) =>
      await writeFile(
        `${root}/${layout.maskPath(id, "0")}`,
        await grayPng(40, 48, () => 1),
      ),
  },
  {
    name: "landmarks with NaN",
    reason: "has the value NaN at 5",
    make: (root, id) => {
      const values = new Float32Array(136).fill(9);
      values[5] = NaN;
      const file = npyFile("<f4", [68, 2], values);
      return Deno.writeFile(`${root}/${layout.landmarksPath(id, "0")}`, file);
    },
  },
  {
    name: "landmarks of another dtype",
    reason: '">f4"',
    make: (root, id) =>
      Deno.writeFile(
        `${root}/${layout.landmarksPath(id, "0")}`,
        npyFile(">f4", [68, 2], new Float32Array(136)),
      ),
  },
  {
    name: "pickled landmarks",
    reason: "pickled objects",
    make: (root, id) =>
      Deno.writeFile(
        `${root}/${layout.landmarksPath(id, "0")}`,
        npyFile("|O", [68, 2], new Float32Array(136)),
      ),
  },
  {
    name: "no face",
    reason: "has no face",
    make: (root, id) =>
      Deno.remove(`${root}/${layout.FOLDERS.faces}/${id}`, { recursive: true }),
  },
];

Deno.test("data loader: ids with broken files are skipped and told once, whatever the Workers", async () => {
  await withDataset(async (root) => {
    for (const [i, { make }] of faults.entries()) await make(root, drawnId(i));
    // Some samples drop the identity and so read no face: several epochs.
    const many = Array.from({ length: 15 }, (_, step) => step);
    const read = async (changes: Partial<LoaderOptions>) => {
      const told = new Map<string, string>();
      const found = await batches(root, many, {
        samples: { ...options.samples, stage: 1 },
        onBroken: (id, reason) => {
          assert(!told.has(id), id);
          told.set(id, reason);
        },
        ...changes,
      });
      return { found, told };
    };
    const alone = await read({});
    for (const [i, { name, reason }] of faults.entries()) {
      const told = alone.told.get(drawnId(i)) ?? "";
      assert(told.includes(reason), `${name}: ${told}`);
    }
    assertEquals(alone.told.size, faults.length);
    assert(alone.found.every((batch) => batch.length === 4));
    const threads = await read({ workers: 3, ahead: 4 });
    assertEquals(brief(threads.found), brief(alone.found));
    assertEquals(threads.told.size, faults.length);
  }, faults.length + 5);
});

Deno.test("data loader: a substitute is the next sound id of the epoch's order", async () => {
  await withDataset(async (root) => {
    const many = Array.from({ length: 7 }, (_, step) => step);
    const before = (await batches(root, many)).flat().map(({ id }) => id);
    for (const index of [2, 3]) {
      await Deno.remove(`${root}/${layout.captionPath(drawnId(index))}`);
    }
    await using loader = await DataLoader.open(root, options);
    const after: string[] = [];
    for (const step of many) {
      after.push(...(await loader.batch(step)).map(({ id }) => id));
    }
    const broken = [drawnId(2), drawnId(3)];
    const expected = before.map((_, sample) => {
      const epoch = Math.floor(sample / COUNT) * COUNT;
      for (let places = 0;; places++) {
        const id = before[epoch + (sample + places) % COUNT];
        if (!broken.includes(id)) return id;
      }
    });
    assertEquals(after, expected);
    assertEquals([...loader.broken.keys()].toSorted(), broken);
    assertEquals(loader.substituted, 8);
  });
});

Deno.test("data loader: where no id can be used, the first reason is told", async () => {
  await withDataset(async (root) => {
    for (let i = 0; i < 3; i++) {
      await Deno.writeTextFile(`${root}/${layout.captionPath(drawnId(i))}`, "");
    }
    for (const workers of [0, 2]) {
      const error = await assertRejects(
        () => batches(root, [0], { workers }),
        MasterWeaverError,
        "None of the 3 ids",
      );
      assertEquals(error.code, "bad-data");
    }
  }, 3);
});

Deno.test("data loader: a data set without a part is refused, by its name", async () => {
  await withDataset(async (root) => {
    const open = (stage: 1 | 2) =>
      DataLoader.open(root, {
        ...options,
        samples: { ...options.samples, stage },
      });
    const augmented = `${root}/${layout.FOLDERS.augmented}`;
    await Deno.remove(augmented, { recursive: true });
    await assertRejects(
      () => open(2),
      MasterWeaverError,
      "images_cropped_face_aug is missing",
    );
    await (await open(1))[Symbol.asyncDispose]();
    await Deno.mkdir(augmented);
    await assertRejects(() => open(2), MasterWeaverError, "aug is empty");
    for (const part of ["captions", "masks", "faces", "images"] as const) {
      await Deno.rename(
        `${root}/${layout.FOLDERS[part]}`,
        `${root}/${part}-away`,
      );
      const error = await assertRejects(
        () => open(1),
        MasterWeaverError,
        `${layout.FOLDERS[part]} is missing`,
      );
      assertEquals(error.code, "bad-data");
    }
    await assertRejects(
      () => DataLoader.open(`${root}/nowhere`, options),
      MasterWeaverError,
      "is not there",
    );
  }, 1);
});

Deno.test("data loader: once disposed, no Worker runs and no batch comes", async () => {
  await withDataset(async (root) => {
    const loader = await DataLoader.open(root, { ...options, workers: 2 });
    const pending = loader.batch(0);
    await loader[Symbol.asyncDispose]();
    for (const batch of [pending, loader.batch(1)]) {
      const error = await assertRejects(() => batch, MasterWeaverError);
      assertEquals(error.code, "disposed");
    }
  });
});

Deno.test("data loader: what a cache holds is not decoded", async () => {
  await withDataset(async (root) => {
    const place = {
      root: `${root}/cache`,
      components: { image: "aa", reference: "bb" },
    };
    const cache = await FeatureCache.open(place, { maxBytes: 2 ** 30 });
    const plain = (await batches(root, steps)).flat();
    const marks = new Map<string, number>();
    for (const { image, references } of plain) {
      const inputs = [
        ["image", image],
        ...references.map((one) => ["reference", one] as const),
      ] as const;
      for (const [kind, input] of inputs) {
        if (!input?.key || marks.has(input.key)) continue;
        marks.set(input.key, marks.size);
        await cache.put(kind, input.key, Float32Array.of(marks.size - 1, 0.5));
      }
    }
    for (const workers of [0, 2]) {
      const found = (await batches(root, steps, { cache: place, workers }))
        .flat();
      for (const [i, sample] of found.entries()) {
        assertEquals(sample.caption, plain[i].caption);
        const inputs = [sample.image, ...sample.references];
        const before = [plain[i].image, ...plain[i].references];
        for (const [k, input] of inputs.entries()) {
          if (input === null || input.key === null) {
            assertEquals(input?.pixels?.length, before[k]?.pixels?.length);
            continue;
          }
          assertEquals(input.key, before[k]?.key);
          assertEquals(input.pixels, undefined);
          assertEquals(input.cached?.[0], marks.get(input.key));
        }
      }
    }
  });
});

Deno.test("data loader: keys tell content and every transform apart", async () => {
  await withDataset(async (root) => {
    const keys = async (changes: Partial<LoaderOptions["samples"]>) => {
      const samples = { ...options.samples, stage: 1 as const, ...changes };
      const many = Array.from({ length: 10 }, (_, step) => step);
      return (await batches(root, many, { samples })).flat()
        .flatMap(({ image, references }) => [
          image.key,
          ...references.map(
            (reference) => reference?.key ?? null,
          ),
        ])
        .filter((key) => key !== null);
    };
    const plain = new Set(await keys({}));
    // Seven images; of each face one key mirrored, one not.
    assertEquals(plain.size, 7 + 14);
    const sides = await keys({ visionSide: 14, resolution: 16 });
    assert(sides.every((key) => !plain.has(key)));
    const normalised = await keys({ mean: [0, 0, 0] });
    assertEquals(normalised.filter((key) => plain.has(key)).length, 40);
    const masked = await keys({ stage: 2 });
    assert(masked.some((key) => !plain.has(key)));
  });
});

Deno.test("data loader: masks are gray values or a palette's indices", async () => {
  const index = (x: number, y: number) => (x + y) % 19;
  const gray = await grayPng(20, 17, index);
  const colours = new Uint8Array(57).map((_, i) => 250 - i);
  const palette = await palettePng(20, 17, index, colours);
  const map = decodeClasses(gray, "gray");
  assertEquals([map.width, map.height], [20, 17]);
  assertEquals(map.classes[21], 2);
  assertEquals(decodeClasses(palette, "palette"), map);
  const data = new Uint8ClampedArray(16 * 16 * 4).fill(255);
  const image = { width: 16, height: 16, data };
  const refused: [Uint8Array, string][] = [
    [encodePng(image, {}), "has colours"],
    [encodeJpeg(image, ""), "is not a PNG"],
    [await grayPng(20, 17, () => 19), "the class 19"],
    [new Uint8Array(), "is not a PNG"],
    [gray.subarray(0, -20), "is cut off"],
    [gray.map((byte, i) => i === 60 ? byte ^ 1 : byte), "is damaged"],
  ];
  for (const [file, message] of refused) {
    assertThrows(() => decodeClasses(file, "m"), MasterWeaverError, message);
  }
  assertEquals(imageSize(encodeJpeg(image, ""), "a.jpg").width, 16);
  assertEquals(imageSize(gray, "a.png").height, 17);
  assertThrows(() => imageSize(text("GIF89a"), "a"), MasterWeaverError, "size");
});

Deno.test("data loader: of many broken ids the first are named, then counted", () => {
  const lines: string[] = [];
  const broken = new BrokenIds((line) => lines.push(line));
  for (let i = 0; i < 20; i++) broken.add(`id${i}`, "it is empty");
  broken.finish();
  assertEquals(lines.length, 20);
  assertEquals(lines[19], "id19 is left out: it is empty");
  for (let i = 20; i < 1000; i++) broken.add(`id${i}`, "it is empty");
  broken.finish();
  broken.add("last", "it is empty");
  broken.finish();
  assertEquals(
    lines.slice(20),
    [80, 980, 981].map((count) =>
      `${count} more ids are left out, see tools/dataset.ts check`
    ),
  );
});
