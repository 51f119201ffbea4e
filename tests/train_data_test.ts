/**
 * Training data without files: landmarks of `.npy`, orders, edit prompts, and what
 * samples are made of, over many draws.
 */
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { drawAugmentation } from "../src/train/data/augment.ts";
import {
  drawEditPrompts,
  EDITS,
  parseEdits,
  PERSON_WORDS,
  TEMPLATES,
} from "../src/train/data/edit_prompts.ts";
import { blackenedClasses } from "../src/train/data/masks.ts";
import { readNpy } from "../src/train/data/npy.ts";
import { sampleNumbers, SampleOrder } from "../src/train/data/order.ts";
import { RandomStream } from "../src/train/data/random.ts";
import {
  drawSamplePlan,
  type ListedFace,
  type SamplePlan,
} from "../src/train/data/sample_plan.ts";

/** Files of `numpy.save`, (2, 3) but for the pickled one and the records. */
const NPY = {
  f4:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAACAPwAAAEAAAEBAAACAQAAAoEA=",
  f8:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAAAAAFVVVVVVVdU/VVVVVVVV5T8AAAAAAADwP1VVVVVVVfU/q6qqqqqq+j8=",
  i8:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGk4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAr9//////////7///////////////////8AAAAAAAAAAAEAAAAAAAAAAgAAAAAAAAA=",
  fortran:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAABAQAAAgD8AAIBAAAAAQAAAoEA=",
  v2:
    "k05VTVBZAgB0AAAAeydkZXNjcic6ICc8aTQnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAQAAAAIAAAADAAAABAAAAAUAAAA=",
  v3:
    "k05VTVBZAwB0AAAAeydkZXNjcic6ICc8aTQnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAQAAAAIAAAADAAAABAAAAAUAAAA=",
  pickled:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnfE8nLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAqABJWVAAAAAAAAAIwWbnVtcHkuX2NvcmUubXVsdGlhcnJheZSMDF9yZWNvbnN0cnVjdJSTlIwFbnVtcHmUjAduZGFycmF5lJOUSwCFlEMBYpSHlFKUKEsBSwKFlGgDjAVkdHlwZZSTlIwCTziUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LP3SUYoldlCh9lIwBYZRLAXNLAmV0lGIu",
  big:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPmY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAP4AAAEAAAABAQAAAQIAAAECgAAA=",
  u1:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAQIDBAU=",
  records:
    "k05VTVBZAQB2AHsnZGVzY3InOiBbKCd4JywgJzxmNCcpLCAoJ3knLCAnPGk0JyldLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMiwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAAAAAAAAAAAAAAAA",
  nan:
    "k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAIA/AADAfwAAQEAAAIBAAACgQAAAwEA=",
};

function npy(name: keyof typeof NPY): Uint8Array {
  return Uint8Array.fromBase64(NPY[name]);
}

function refuseNpy(
  file: Uint8Array,
  message: string,
  shape: readonly number[] = [2, 3],
): void {
  const error = assertThrows(
    () => readNpy(file, "a.npy", shape),
    MasterWeaverError,
    message,
  );
  assertEquals(error.code, "bad-data");
  assertStringIncludes(error.message, "a.npy");
}

Deno.test("train data: NumPy's own files are read, in every version and order", () => {
  const expected: Partial<Record<keyof typeof NPY, number[]>> = {
    f4: [0, 1, 2, 3, 4, 5],
    f8: [0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3],
    i8: [-3, -2, -1, 0, 1, 2],
    fortran: [0, 1, 2, 3, 4, 5],
    v2: [0, 1, 2, 3, 4, 5],
    v3: [0, 1, 2, 3, 4, 5],
  };
  for (const [name, values] of Object.entries(expected)) {
    const array = readNpy(npy(name as keyof typeof NPY), name, [2, 3]);
    assertEquals([...array.values], values, name);
  }
  // A view that does not start at its buffer's start.
  const padded = new Uint8Array([0, 0, 0, ...npy("f4")]);
  const { values } = readNpy(padded.subarray(3), "view", [2, 3]);
  assertEquals([...values], [0, 1, 2, 3, 4, 5]);
});

Deno.test("train data: what is not plain finite numbers is refused by name", () => {
  refuseNpy(npy("pickled"), "pickled objects");
  refuseNpy(npy("big"), '">f4", expected <f4, <f8, <i4, <i8');
  refuseNpy(npy("u1"), '"|u1"');
  refuseNpy(npy("records"), "records of several fields");
  refuseNpy(npy("nan"), "the value NaN at 1");
  refuseNpy(npy("f4"), "shape (2, 3), expected (68, 2)", [68, 2]);
});

Deno.test("train data: a .npy file that lies or is cut is refused", () => {
  const whole = npy("f4");
  for (let length = 0; length < whole.length; length++) {
    assertThrows(
      () => readNpy(whole.subarray(0, length), "cut.npy", [2, 3]),
      MasterWeaverError,
    );
  }
  refuseNpy(Uint8Array.of(...whole, 0), "25 bytes of values, expected 24");
  const withHeader = (text: string, version = 1) => {
    const header = new TextEncoder().encode(text);
    const start = [...whole.subarray(0, 6), version, 0];
    return Uint8Array.of(...start, header.length, 0, ...header);
  };
  const rest = "'fortran_order': False, 'shape': (2, 3), }";
  refuseNpy(withHeader(`{'descr': '<f4', ${rest}`, 4), "version 4");
  refuseNpy(withHeader(`{'descr': exit(), ${rest}`), "not understood");
  refuseNpy(withHeader(`{'descr': '<f4', 'descr': '<f4', ${rest}`), "twice");
  refuseNpy(withHeader("{'descr': '<f4'}"), "another header");
  refuseNpy(withHeader("[]"), "no dictionary");
  refuseNpy(
    withHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }"),
    "a shape that is not understood",
  );
  refuseNpy(
    withHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (9, 9), }"),
    "shape (9, 9)",
  );
});

Deno.test("train data: an epoch has every id once, in an order of its own", () => {
  const order = new SampleOrder(1, 10);
  const epochs = [0, 1, 2].map((epoch) =>
    Array.from({ length: 10 }, (_, i) => order.at(epoch * 10 + i))
  );
  for (const epoch of epochs) {
    assertEquals(epoch.toSorted(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  }
  assertEquals(new Set(epochs.map(String)).size, 3);
  // Whoever starts in the middle, or goes back, finds the same.
  assertEquals(new SampleOrder(1, 10).at(23), epochs[2][3]);
  assertEquals(order.at(3), epochs[0][3]);
});

Deno.test("train data: a substitute is the next in the epoch's order", () => {
  const order = new SampleOrder(1, 5);
  const epoch = Array.from({ length: 5 }, (_, i) => order.at(i));
  assertEquals(order.at(1, 2), epoch[3]);
  assertEquals(order.at(4, 1), epoch[0]);
});

Deno.test("train data: ranks together, and small batches, see what one large batch sees", () => {
  for (let step = 0; step < 3; step++) {
    const whole = sampleNumbers(step, 8);
    const ranks = [0, 1].flatMap((rank) =>
      sampleNumbers(step, 4, { rank, ranks: 2 })
    );
    assertEquals(ranks.toSorted((a, b) => a - b), whole);
    // Each identity is mixed with that at the other end: within its rank.
    assertEquals(
      sampleNumbers(step, 4, { rank: 1, ranks: 2 }),
      [2, 3, 4, 5].map((place) => whole[place]),
    );
    const halves = [0, 1].flatMap((half) => sampleNumbers(2 * step + half, 4));
    assertEquals(halves, whole);
  }
});

Deno.test("train data: edit prompts repeat nothing until a list is used up", () => {
  assertEquals(
    [TEMPLATES.length, PERSON_WORDS.length, EDITS.length],
    [18, 6, 42],
  );
  assertEquals(new Set(EDITS).size, 42);
  const wordOf = (plain: string) => plain.split(" ").at(-1)!;
  for (let step = 0; step < 50; step++) {
    const prompts = drawEditPrompts(1, step, 18);
    const templates = prompts.map(({ plain }) =>
      plain.replace(wordOf(plain), "{}")
    );
    assertEquals(new Set(templates).size, 18);
    const words = prompts.map(({ plain }) => wordOf(plain));
    assertEquals(new Set(words.slice(0, 6)).size, 6);
    for (const [i, { plain, edited }] of prompts.entries()) {
      const [before, after] = templates[i].split("{}");
      const inside = edited.slice(before.length, edited.length - after.length);
      assert(EDITS.some((edit) => edit.replace("{}", words[i]) === inside));
      assert(plain !== edited);
    }
  }
  assertEquals(drawEditPrompts(1, 3, 8), drawEditPrompts(1, 3, 8));
  assertEquals(drawEditPrompts(1, 3, 8).slice(0, 4), drawEditPrompts(1, 3, 4));
  assertEquals(drawEditPrompts(1, 0, 100).length, 100);
});

Deno.test("train data: a file of edits is checked line by line", () => {
  assertEquals(parseEdits("a {}\n\n  {} b $&\r\n", "e"), ["a {}", "{} b $&"]);
  const [{ edited }] = drawEditPrompts(1, 0, 1, ["{} $& hat"]);
  assertStringIncludes(edited, "$& hat");
  for (
    const [text, message] of [
      ["{} a\nsmiling", "Line 2 of e"],
      ["{} and {}", "{} once"],
      ["\n", "has no edits"],
    ]
  ) {
    assertThrows(() => parseEdits(text, "e"), MasterWeaverError, message);
  }
});

Deno.test("train data: hair and mouth are masked for one type only", () => {
  const sorted = (kind: "background" | "appearance") =>
    blackenedClasses(kind).toSorted((a, b) => a - b);
  assertEquals(sorted("background"), [0, 14, 15, 16, 18]);
  assertEquals(sorted("appearance"), [0, 11, 12, 13, 14, 15, 16, 17, 18]);
});

const oneFace: ListedFace[] = [{ face: "0", augmented: ["a.jpg", "b.jpg"] }];
const DRAWS = 20_000;

function plans(stage: 1 | 2, faces: readonly ListedFace[]): SamplePlan[] {
  return Array.from(
    { length: DRAWS },
    (_, i) => drawSamplePlan(new RandomStream(9, "sample", i), stage, faces),
  );
}

/** A share is within five standard deviations of its probability. */
function assertShare<T>(
  list: readonly T[],
  predicate: (one: T) => boolean,
  probability: number,
): void {
  const share = list.filter(predicate).length / list.length;
  const deviation = Math.sqrt(probability * (1 - probability) / list.length);
  assert(
    Math.abs(share - probability) <= 5 * deviation,
    `${share} of ${list.length}, expected ${probability}`,
  );
}

Deno.test("train data: types, drops and fills come as often as they should", () => {
  const all = plans(2, oneFace);
  assertShare(all, ({ type }) => type === "own", 1 / 6);
  assertShare(all, ({ type }) => type === "appearance", 3 / 6);
  assertShare(all, ({ type }) => type === "other", 2 / 6);
  assertShare(all, (p) => p.dropIdentity && !p.dropText, 0.05);
  assertShare(all, (p) => !p.dropIdentity && p.dropText, 0.05);
  assertShare(all, (p) => p.dropIdentity && p.dropText, 0.05);
  const kept = all.filter((plan) => !plan.dropIdentity);
  assertShare(kept, ({ references }) => references[2] !== null, 0.1);
  const references = kept.map((plan) => plan.references[0]!);
  assertShare(references, ({ augmentation }) => augmentation.flip, 0.5);
  const other = references.filter(({ source }) => source.kind === "augmented");
  assertShare(
    other,
    ({ source }) => source.kind === "augmented" && source.file === "a.jpg",
    0.5,
  );
  assert(plans(1, oneFace).every(({ type }) => type === "own"));
});

Deno.test("train data: references are those of their type, the first copied", () => {
  for (const { type, dropIdentity, references } of plans(2, oneFace)) {
    assertEquals(references.length, 3);
    if (dropIdentity) {
      assertEquals(references, [null, null, null]);
      continue;
    }
    const kinds = references.map((reference) =>
      reference === null
        ? "-"
        : reference.source.kind === "own"
        ? reference.source.mask[0]
        : "o"
    ).join("");
    const allowed = {
      own: ["b--", "bbb"],
      appearance: ["ao-", "aoa"],
      other: ["o--", "ooo"],
    }[type];
    assert(allowed.includes(kinds), `${type}: ${kinds}`);
    // Only copies are turned and cut.
    for (
      const reference of references.slice(0, type === "appearance" ? 2 : 1)
    ) {
      assertEquals(Object.keys(reference!.augmentation), ["flip"]);
    }
  }
});

Deno.test("train data: of four faces three are references", () => {
  const faces = ["0", "1", "2", "3"].map((face) => ({ face, augmented: [] }));
  for (const { references, dropIdentity, type } of plans(2, faces)) {
    const expected = type === "other" || dropIdentity ? [] : ["0", "1", "2"];
    const found = references.flatMap((one) => one ? [one.source.face] : []);
    assertEquals(found, expected);
  }
});

Deno.test("train data: copies are turned and cut half of the time", () => {
  const drawn = Array.from(
    { length: DRAWS },
    (_, i) => drawAugmentation(new RandomStream(3, "copy", i)),
  );
  assertShare(drawn, ({ rotation }) => rotation !== undefined, 0.5);
  assertShare(drawn, ({ crop }) => crop !== undefined, 0.5);
  assertShare(drawn, ({ flip }) => flip, 0.5);
  const turned = drawn.flatMap(({ rotation }) => rotation ? [rotation] : []);
  assertShare(turned, ({ expand }) => expand, 0.5);
  assertShare(turned, ({ degrees }) => degrees < 0, 0.5);
  assertShare(turned, ({ degrees }) => Math.abs(degrees) < 22.5, 0.5);
  assert(turned.every(({ degrees }) => Math.abs(degrees) <= 45));
});
