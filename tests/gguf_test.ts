/**
 * GGUF: read as the `gguf` package reads it; hostile files get one clear line.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFloats } from "../src/checkpoints/checkpoint.ts";
import {
  dequantiseGgml,
  joinBlocks,
  SAME_BLOCKS,
  splitBlocks,
} from "../src/checkpoints/ggml_blocks.ts";
import { openGguf } from "../src/checkpoints/gguf.ts";
import { writeGguf } from "../src/checkpoints/gguf_writer.ts";
import { openCheckpoint } from "../src/checkpoints/open.ts";
import { recognise, unwrapped } from "../src/checkpoints/recognise.ts";
import { FileSource } from "../src/host/files.ts";
import { dequantise } from "../src/weights/quantise.ts";
import {
  floatsOf,
  ggufBytes,
  type GgufFile,
  joined,
  textValue,
  u32,
  u64,
} from "./support/gguf.ts";
import { fuzz } from "./support/weights.ts";
import { inspect } from "../tools/inspect.ts";
import { repositoryPath } from "./support/paths.ts";

const golden = () =>
  FileSource.open(repositoryPath("tests/goldens/types.gguf"));

Deno.test("gguf: every type equals what the gguf package gives, in every bit", async () => {
  await using source = await golden();
  const { tensors, kind } = await openCheckpoint(source);
  assertEquals(kind, "gguf");
  const types = [...tensors.keys()].filter((name) => !name.includes("."));
  assertEquals(types.length, 8);
  for (const name of types) {
    const tensor = tensors.get(name)!;
    assertEquals(tensor.dtype, name);
    assertEquals(
      tensor.shape,
      name.startsWith("Q") ? [3, 64] : [2, 3, 1, 5],
    );
    const values = await readFloats(tensor);
    const expected = await readFloats(tensors.get(`expected.${name}`)!);
    assertEquals(values, expected);
    // Ranges that start and end within blocks.
    for (const [first, count] of [[0, 1], [7, 20], [13, 17], [29, 1]]) {
      const range = await readFloats(tensor, first, count);
      assertEquals(range, expected.slice(first, first + count));
    }
  }
});

Deno.test("gguf: metadata of every type", async () => {
  await using source = await golden();
  const { metadata, otherValues } = await openGguf(source);
  assertEquals(metadata, {
    "general.architecture": "sd1",
    "general.alignment": "64",
    "a.uint8": "200",
    "a.int8": "-3",
    "a.uint16": "60000",
    "a.int16": "-300",
    "a.int32": "-70000",
    "a.float32": "0.5",
    "a.bool": "true",
    "a.string": "grüße",
    "a.uint64": "9223372036854775808",
    "a.int64": "-4611686018427387904",
    "a.float64": "1e+300",
    "a.shape": "2,3,1,5",
  });
  // Long lists and lists of texts are counted, not kept.
  assertEquals(otherValues, 16);
});

Deno.test("gguf: q8_0 and q4_0 become our blocks without a changed bit", async () => {
  await using source = await golden();
  const { tensors } = await openGguf(source);
  for (const dtype of ["Q8_0", "Q4_0"] as const) {
    const bytes = await tensors.get(dtype)!.read();
    const split = splitBlocks(bytes, dtype)!;
    const scales = new Float16Array(split.scales.buffer);
    assertEquals(
      dequantise(split.quants, scales, SAME_BLOCKS[dtype]),
      dequantiseGgml(bytes, dtype),
    );
    assertEquals(joinBlocks(split, dtype), bytes);
  }
  const lowest = new Uint8Array(34).fill(0x80);
  assertEquals(splitBlocks(lowest, "Q8_0"), undefined);
});

Deno.test("gguf: what is written is read again", async () => {
  const chunks: Uint8Array[] = [];
  const data = (bytes: Uint8Array) =>
    async function* () {
      yield await Promise.resolve(bytes);
    };
  const blocks = Uint8Array.from({ length: 36 }, (_, i) => i);
  await writeGguf(
    (chunk) => Promise.resolve(void chunks.push(chunk)),
    { "general.architecture": "sd1", number: 7 },
    [
      { name: "a", dtype: "F32", shape: [3], data: data(new Uint8Array(12)) },
      { name: "b", dtype: "Q4_0", shape: [2, 32], data: data(blocks) },
    ],
  );
  const file = await openGguf(new MemorySource(joined(...chunks)));
  assertEquals(file.metadata, { "general.architecture": "sd1", number: "7" });
  assertEquals(file.tensors.get("b")!.shape, [2, 32]);
  assertEquals(await file.tensors.get("b")!.read(), blocks);
});

Deno.test("gguf: ComfyUI's flattened tensors have their own shapes", async () => {
  const file = ggufBytes({
    keys: [["comfy.gguf.orig_shape.a", [
      9,
      joined(u32(5), u64(4), ...[2, 3, 1, 1].map(u32)),
    ]]],
    tensors: [floatsOf("a", [1, 6], [1, 2, 3, 4, 5, 6])],
  });
  const { tensors } = await openGguf(new MemorySource(file));
  assertEquals(tensors.get("a")!.shape, [2, 3, 1, 1]);
});

Deno.test("gguf: other programs' prefixes are those of a single file", async () => {
  const names = async (...given: string[]) => {
    const tensors = given.map((name) => floatsOf(name, [1], [1]));
    const file = await openGguf(new MemorySource(ggufBytes({ tensors })));
    return [...unwrapped(file).tensors.keys()];
  };
  assertEquals(
    await names(
      "input_blocks.0.0.weight",
      "vae.decoder.conv_in.weight",
      "text_encoders.clip_l.transformer.text_model.final_layer_norm.bias",
    ),
    [
      "model.diffusion_model.input_blocks.0.0.weight",
      "first_stage_model.decoder.conv_in.weight",
      "cond_stage_model.transformer.text_model.final_layer_norm.bias",
    ],
  );
});

const one = floatsOf("a", [2], [1, 2]);
const two = [one, floatsOf("b", [2], [3, 4])];
const huge = 2n ** 62n;

/** What is wrong, the file, and what the line says. */
const bad: [string, GgufFile | Uint8Array, RegExp][] = [
  ["version 1", { version: 1 }, /version 1 of GGUF, expected 2 or 3/],
  ["big endian", { version: 0x03000000 }, /big-endian/],
  [
    "tensors beyond any number",
    { tensorCount: 2n ** 64n - 1n },
    /number of its tensors is/,
  ],
  ["too many tensors", { tensorCount: 2n ** 40n }, /at most 100000/],
  [
    "tensors that do not fit",
    { tensorCount: 90_000n },
    /would have 90000 tensors, which \d+ bytes cannot hold/,
  ],
  [
    "keys that do not fit",
    { keyCount: 60_000n },
    /would have 60000 metadata keys/,
  ],
  ["too many keys", { keyCount: huge / 2n ** 20n }, /at most 65536/],
  [
    "a key twice",
    { keys: [["k", textValue("1")], ["k", textValue("2")]] },
    /metadata key "?k"? twice/,
  ],
  [
    "a key without end",
    { keys: [["k", [8, u64(2 ** 50)]]] },
    /value of "?k"? would be \d+ bytes long/,
  ],
  [
    "a value of no type",
    { keys: [["k", [77, u64(0)]]] },
    /has the type 77, expected 0 to 12/,
  ],
  [
    "a list without end",
    { keys: [["k", [9, joined(u32(4), u64(2 ** 40))]]] },
    /numbers in "?k"?, which/,
  ],
  [
    "texts without end",
    { keys: [["k", [9, joined(u32(8), u64(2 ** 40))]]] },
    /strings in "?k"?, which/,
  ],
  [
    "lists without end",
    { keys: [["k", [9, joined(u32(9), u64(2 ** 40))]]] },
    /lists in "?k"?, which/,
  ],
  [
    "lists in lists in lists",
    {
      keys: [["k", [
        9,
        joined(...Array.from({ length: 40 }, () => joined(u32(9), u64(1)))),
      ]]],
    },
    /lists more than 4 deep/,
  ],
  [
    "an alignment that is none",
    { keys: [["general.alignment", [4, u32(48)]]] },
    /expected a power of two/,
  ],
  [
    "no alignment",
    { keys: [["general.alignment", [4, u32(0)]]] },
    /expected a power of two/,
  ],
  ["a text that is none", {
    keys: [["k", [8, joined(u64(1), Uint8Array.of(255))]]],
  }, /no UTF-8/],
  [
    "too many dimensions",
    { tensors: [{ name: "a", sizes: Array(9).fill(1) }] },
    /9 dimensions, at most 8/,
  ],
  ["a dimension beyond any number", {
    tensors: [{ name: "a", sizes: [2n ** 63n] }],
  }, /more than any file has/],
  [
    "too many elements",
    { tensors: [{ name: "a", sizes: [2 ** 40, 2 ** 40] }] },
    /too many elements/,
  ],
  [
    "a type that is none",
    { tensors: [{ ...one, type: 99 }] },
    /its type is 99/,
  ],
  [
    "a type that was removed",
    { tensors: [{ ...one, type: 4 }] },
    /its type is 4/,
  ],
  [
    "a row that is no block",
    { tensors: [{ ...one, type: 8 }] },
    /innermost dimension is 2, Q8_0 needs a multiple of 32/,
  ],
  [
    "overlapping tensors",
    { tensors: [one, { ...two[1], offset: 0 }] },
    /may not overlap or leave gaps/,
  ],
  [
    "a gap",
    { tensors: [one, { ...two[1], offset: 64 }] },
    /may not overlap or leave gaps/,
  ],
  [
    "an odd offset",
    { tensors: [{ ...one, offset: 4 }] },
    /may not overlap or leave gaps/,
  ],
  [
    "an offset beyond the file",
    { tensors: [one, { ...two[1], offset: huge }] },
    /more than any file has/,
  ],
  [
    "a tensor twice",
    { tensors: [one, { ...two[1], name: "a" }] },
    /tensor "?a"? twice/,
  ],
  [
    "a name without end",
    joined(
      ggufBytes({}).subarray(0, 8),
      u64(1),
      u64(0),
      u64(2 ** 52),
      new Uint8Array(99),
    ),
    /name would be \d+ bytes long, at most 512/,
  ],
  ["a tensor larger than the file", {
    tensors: [{ name: "a", sizes: [2 ** 30] }],
  }, /is cut short/],
  [
    "bytes at its end",
    joined(ggufBytes({ tensors: two }), new Uint8Array(64)),
    /its tensors end at byte/,
  ],
];

for (const [what, file, says] of bad) {
  Deno.test(`gguf: ${what} is refused`, async () => {
    const bytes = file instanceof Uint8Array ? file : ggufBytes(file);
    const error = await assertRejects(
      () => openGguf(new MemorySource(bytes, "model.gguf")),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-checkpoint");
    assertMatch(error.message, says);
    assert(!error.message.includes("\n"));
  });
}

Deno.test("gguf: a file that is cut anywhere is refused", async () => {
  const whole = ggufBytes({
    keys: [["general.architecture", textValue("sd1")]],
    tensors: two,
  });
  await openGguf(new MemorySource(whole));
  // The last 24 bytes are padding, which need not be there.
  for (let length = 0; length < whole.length - 24; length++) {
    await assertRejects(
      () => openGguf(new MemorySource(whole.subarray(0, length))),
      MasterWeaverError,
    );
  }
});

Deno.test("gguf: a file that is damaged in any way opens or is refused", async () => {
  const whole = await Deno.readFile(
    repositoryPath("tests/goldens/types.gguf"),
  );
  // The header alone, where damage matters, and then some of the data.
  const refused = await fuzz(whole.subarray(0, 2600), 1500, openGguf);
  assertEquals(refused, 1500);
  const all = await fuzz(whole, 500, async (source) => {
    const { tensors } = await openGguf(source);
    for (const tensor of tensors.values()) await readFloats(tensor);
  });
  assert(all > 100 && all < 500, `${all}`);
});

Deno.test("gguf: inspect names type, shape and architecture", async () => {
  await using source = await golden();
  const found = await inspect(source, true);
  assertEquals([found.kind, found.architecture, found.otherValues], [
    "gguf",
    "sd1",
    16,
  ]);
  const { dtype, shape, bytes } = found.tensors
    .find(({ name }) => name === "Q5_1")!;
  assertEquals([dtype, shape, bytes], ["Q5_1", [3, 64], 144]);
});

Deno.test("gguf: another architecture is named", async () => {
  const open = (name: string, architecture: string) =>
    openGguf(
      new MemorySource(ggufBytes({
        keys: [["general.architecture", textValue(architecture)]],
        tensors: [{ name, sizes: [256], type: 12, data: new Uint8Array(144) }],
      })),
    );
  const unet = "model.diffusion_model.input_blocks.0.0.weight";
  for (
    const [name, architecture] of [
      ["token_embd.weight", "llama"],
      [unet, "llama"],
      ["a", "something"],
    ]
  ) {
    const file = await open(name, architecture);
    const error = await assertRejects(
      () => Promise.resolve().then(() => recognise(file)),
      MasterWeaverError,
    );
    assertMatch(error.message, new RegExp(`architecture "?${architecture}"?`));
  }
  assertEquals(recognise(await open(unet, "something")), "single_file");
  // Types that are not read can be listed, and are refused by name.
  const { tensors } = await open("a", "sd1");
  await assertRejects(
    () => readFloats(tensors.get("a")!),
    MasterWeaverError,
    "it holds Q4_K, which is not read",
  );
});
