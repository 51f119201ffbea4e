import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { PickleCut, unpickle } from "../src/checkpoints/pickle.ts";
import {
  PickleDict,
  PickleList,
  PickleObject,
  type PickleValue,
} from "../src/checkpoints/pickle_values.ts";
import { flatten } from "../src/checkpoints/torch_tensors.ts";
import { random } from "./support/weights.ts";

/** Instructions, written as text and numbers. */
function program(...parts: (string | number)[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "number" ? [part] : [...new TextEncoder().encode(part)]
    ),
  );
}

function run(...parts: (string | number)[]): PickleValue {
  return unpickle(program(...parts), "test.pt").value;
}

function items(value: PickleValue): PickleValue[] {
  assert(value instanceof PickleList);
  return value.items;
}

Deno.test("pickle: numbers, texts and constants of all protocols", () => {
  assertEquals(run("N."), null);
  assertEquals(run(0x88, "."), true);
  assertEquals(run(0x89, "."), false);
  assertEquals(run("K", 255, "."), 255);
  assertEquals(run("M", 1, 2, "."), 513);
  assertEquals(run("J", 255, 255, 255, 255, "."), -1);
  assertEquals(run("I42\n."), 42);
  assertEquals([run("I00\n."), run("I01\n."), run("I1\n.")], [false, true, 1]);
  assertEquals(
    run("Vn", 0xe4, "m\\u0431\\U0001f600\\u005c\n."),
    "n\xe4m\u0431\u{1f600}\\",
  );
  assertEquals(run("L-42L\n."), -42);
  assertEquals(run(0x8a, 2, 0, 255, "."), -256);
  assertEquals(run(0x8a, 0, "."), 0);
  assertEquals(run(0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, "."), 2n ** 64n);
  assertEquals(run("F2.5\n."), 2.5);
  assertEquals(run("G", 0x40, 4, 0, 0, 0, 0, 0, 0, "."), 2.5);
  assertEquals(run("X", 4, 0, 0, 0, "näm", "."), "näm");
  assertEquals(run(0x8c, 2, "ab."), "ab");
  assertEquals(run(0x80, 4, 0x95, 3, 0, 0, 0, 0, 0, 0, 0, "Vab\n."), "ab");
});

Deno.test("pickle: lists, tuples and dictionaries", () => {
  assertEquals(items(run("(K", 1, "K", 2, "t.")), [1, 2]);
  assertEquals(items(run("](K", 1, "K", 2, "e.")), [1, 2]);
  assertEquals(items(run("]K", 1, "a.")), [1]);
  assertEquals(items(run("K", 1, "K", 2, "K", 3, 0x87, ".")), [1, 2, 3]);
  const dict = run("}(Va\nK", 1, "Vb\nK", 2, "uVc\nK", 3, "s.");
  assert(dict instanceof PickleDict);
  assertEquals([...dict.entries], [["a", 1], ["b", 2], ["c", 3]]);
});

Deno.test("pickle: the memo returns a value again", () => {
  assertEquals(items(run("Vab\nq", 7, "0h", 7, "h", 7, 0x86, ".")), [
    "ab",
    "ab",
  ]);
  assertEquals(items(run("Vab\n", 0x94, "h", 0, 0x86, ".")), ["ab", "ab"]);
});

Deno.test("pickle: bytes after its end are not read, and its length is returned", () => {
  assertEquals(unpickle(program("K", 1, ".rest"), "x"), {
    value: 1,
    length: 3,
  });
  for (const cut of ["", "K", "X", "Vab", "(((", "cos\nsys"]) {
    assertThrows(() => unpickle(program(cut), "x"), PickleCut);
  }
});

const forbidden: [string, (string | number)[], string][] = [
  [
    "a global",
    ["cos\nsystem\n(Vls\ntR."],
    "it asks for os.system, and only tensors",
  ],
  [
    "a global from the stack",
    ["Vbuiltins\nVeval\n", 0x93, "."],
    "it asks for builtins.eval",
  ],
  ["a global of torch", ["ctorch.hub\nload\n."], "it asks for torch.hub.load"],
  [
    "a global of the prototype",
    ["ctorch\nconstructor\n."],
    "it asks for torch.constructor",
  ],
  [
    "an instance",
    ["(ios\nsystem\n."],
    "it asks for os.system, and only tensors",
  ],
  [
    "a global of NumPy",
    ["cnumpy\nload\n."],
    "it asks for numpy.load, and only tensors",
  ],
  [
    "a tensor that is made otherwise",
    ["ctorch._utils\n_rebuild_qtensor\n."],
    "it asks for torch._utils._rebuild_qtensor",
  ],
  [
    "a new object of a text",
    ["Vab\n)", 0x81, "."],
    "it calls something that makes no tensor",
  ],
  [
    "a call that calls itself",
    ["ctorch._tensor\n_rebuild_from_type_v2\n](h", 0, "h", 0, "h", 0, "eR."],
    "it recalls 0, never put",
  ],
  [
    "a subclass of itself",
    [
      "ctorch._tensor\n_rebuild_from_type_v2\nq",
      0,
      "]q",
      1,
      "(h",
      0,
      "Nh",
      1,
      "eR.",
    ],
    "it calls something that makes no tensor",
  ],
  ["an extension", [0x82, 1, "."], "its instruction 0x82 at byte 0"],
  ["a call of a text", ["Vab\n)R."], "it calls something that makes no tensor"],
  ["a state of a list", ["]}b."], "it sets the state of something other"],
  [
    "another persistent id",
    ["VPython\nQ."],
    "it refers to something other than a storage",
  ],
];

for (const [what, parts, message] of forbidden) {
  Deno.test(`pickle: ${what} is refused by name`, () => {
    const error = assertThrows(() => run(...parts), MasterWeaverError, message);
    assertEquals(error.code, "bad-checkpoint");
  });
}

const broken: [string, (string | number)[], string][] = [
  ["an empty stack", ["."], "its stack is empty"],
  ["a tuple without mark", ["K", 1, "t."], "its stack is empty"],
  ["a mark for a value", ["(."], "its stack is empty"],
  ["a memo never put", ["h", 3, "."], "it recalls 3, never put"],
  ["half a pair", ["}(K", 1, "u."], "a dictionary key has no value"],
  [
    "an item of a number",
    ["K", 1, "K", 1, "K", 1, "s."],
    "it sets an item of something other than a dictionary",
  ],
  [
    "an appended number",
    ["K", 1, "K", 1, "a."],
    "it appends to something other than a list",
  ],
  ["a protocol of the future", [0x80, 6, "."], "its protocol is 6"],
  ["a text that is not UTF-8", ["X", 1, 0, 0, 0, 255, "."], "is not UTF-8"],
  [
    "a number of 10⁹ digits",
    [0x8b, 0, 202, 154, 59, "."],
    "a whole number takes 1000000000 bytes",
  ],
  ["a number of letters", ["Iabc\n."], "abc is not a whole number"],
];

for (const [what, parts, message] of broken) {
  Deno.test(`pickle: ${what} is refused`, () => {
    assertThrows(() => run(...parts), MasterWeaverError, message);
  });
}

Deno.test("pickle: texts longer than the file are not made", () => {
  const length = [0, 0, 0, 0, 0, 1, 0, 0]; // 2^40
  assertThrows(() => run(0x8d, ...length, "ab."), PickleCut);
  assertThrows(() => run(0x8e, ...length, "ab."), PickleCut);
});

Deno.test("pickle: a list copied over and over is refused in time", () => {
  // A list of 10⁵ pairs, and 10⁵ dictionaries made of it.
  const pairs = Array.from({ length: 1e5 }, () => "K\x01K\x01\x86").join("");
  const start = `](${pairs}e`;
  const calls = "ccollections\nOrderedDict\nh\x00\x85R0".repeat(1e5);
  const bytes = Uint8Array.from(
    `${start}q\x00${calls}.`,
    (character) => character.charCodeAt(0),
  );
  assertThrows(
    () => unpickle(bytes, "x"),
    MasterWeaverError,
    "its pickle takes more than 8000000 steps",
  );
});

Deno.test("flatten: values that contain themselves are refused", () => {
  const inside = run("]q", 0, "h", 0, "a.");
  assertThrows(
    () => flatten(inside, "x"),
    MasterWeaverError,
    "its dictionaries nest deeper than 32",
  );
  // Each list holds the one before it twice: 2^31 values in 100 bytes.
  const doubled = Array.from(
    { length: 31 },
    (_, i) => ["]q", i + 1, "h", i, "ah", i, "a"],
  ).flat();
  assertThrows(
    () => flatten(run("]q", 0, ...doubled, "."), "x"),
    MasterWeaverError,
    "it holds more than 1000000 values",
  );
});

Deno.test("flatten: long nested names are refused", () => {
  const key = `X\xf4\x01\x00\x00${"k".repeat(500)}`;
  const nested = Uint8Array.from(
    `}${key}}${key}}${key}K\x01sss.`,
    (character) => character.charCodeAt(0),
  );
  assertThrows(
    () => flatten(unpickle(nested, "x").value, "x"),
    MasterWeaverError,
    "is too long",
  );
});

/** A tensor of one value: a storage's key, then no dimensions. */
const TENSOR = "ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\n" +
  "FloatStorage\nV0\nVcpu\nK\x01tQK\x00))\x89)tR";

Deno.test("flatten: many references to tensors under a long name are refused in time", () => {
  const list = `](${"h\x00".repeat(999)}eq\x01`;
  const lists = (key: string) =>
    `${TENSOR}q\x000${list}0}V${key}\n](${"h\x01".repeat(999)}es.`;
  const attempt = (text: string) => {
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    assert(bytes.length < 6000);
    return () => flatten(unpickle(bytes, "x").value, "x");
  };
  assertThrows(
    attempt(lists("k".repeat(900))),
    MasterWeaverError,
    "the names of its tensors are longer than 16000000 characters together",
  );
  assertThrows(
    attempt(lists("k")),
    MasterWeaverError,
    "it holds more than 100000 tensors",
  );
});

Deno.test("pickle: more lists and objects than memory allows are refused", () => {
  const programs = {
    lists: "]".repeat(1e6),
    dictionaries: "}".repeat(1e6),
    "objects of objects": `cfoo\nBar\n${")R".repeat(1e6)}`,
  };
  for (const [what, text] of Object.entries(programs)) {
    assertThrows(
      () => run(`(${text}l.`),
      MasterWeaverError,
      "its pickle takes more than 8000000 steps",
      what,
    );
  }
});

Deno.test("pickle: 20000 random programs end", () => {
  const next = random(7);
  const opcodes =
    "NIJKMLFGXVTUBC](){}ltdaesuh0q12pgjrRcbQioS\x81\x8f\x90\x91\x92\x93\x96.";
  let ended = 0;
  for (let round = 0; round < 20000; round++) {
    const bytes = Uint8Array.from(
      { length: 1 + next(60) },
      () =>
        next(4) === 0 ? next(256) : opcodes.charCodeAt(next(opcodes.length)),
    );
    try {
      unpickle(bytes, "random");
    } catch (error) {
      assert(
        error instanceof MasterWeaverError || error instanceof PickleCut,
        `${bytes.toHex()} threw ${error}`,
      );
      ended++;
    }
  }
  assert(ended > 10000, `Only ${ended} were refused`);
});

Deno.test("pickle: objects that training programs save beside the weights are dropped", () => {
  // numpy.dtype("f8") with its state set, a number made with it, a class.
  const value = run(
    "}(Va\n(cnumpy\ndtype\nVf8\n",
    0x85,
    "R(I3\nV<\ntbcnumpy.core.multiarray\nscalar\n",
    0x29,
    "Rt",
    "Vb\ncpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\nu.",
  );
  const { tensors, otherValues } = flatten(value, "test.pt");
  assertEquals([tensors.size, otherValues], [0, 3]);
});

Deno.test("pickle: sets, sizes and namespaces are plain data", () => {
  assertEquals(items(run(0x8f, "(K", 1, "K", 2, 0x90, ".")), [1, 2]);
  assertEquals(items(run("(K", 1, "K", 2, 0x91, ".")), [1, 2]);
  for (const name of ["c__builtin__\nset\n", "ctorch\nSize\n"]) {
    assertEquals(items(run(`${name}](K`, 3, "K", 4, "e", 0x85, "R.")), [3, 4]);
  }
  for (
    const made of [
      ["cargparse\nNamespace\n)", 0x81],
      ["ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nNNtR"],
      ["(iargparse\nNamespace\n"],
      ["(cargparse\nNamespace\no"],
    ]
  ) {
    const space = run(...made, "}Vlr\nK", 5, "sb.");
    assert(space instanceof PickleDict);
    assertEquals([...space.entries], [["lr", 5]]);
  }
  const counted = run("ccollections\nCounter\n}Va\nK", 2, "s", 0x85, "R.");
  assert(counted instanceof PickleDict);
  assertEquals([...counted.entries], [["a", 2]]);
});

Deno.test("pickle: unknown objects are described, never made", () => {
  const value = run(
    "cmy.code\nThing\n(K",
    1,
    "t",
    0x81,
    "}Va\nK",
    2,
    "sb]a(K",
    3,
    "K",
    4,
    "u(K",
    5,
    "e.",
  );
  assert(value instanceof PickleObject);
  assertEquals(value.name, "my.code.Thing");
  assertEquals(value.contents.length, 6); // parameters, state, list, 3: 4, 5
  const { otherValues, objects } = flatten(value, "test.pt");
  assertEquals([otherValues, objects], [1, ["my.code.Thing"]]);
});
