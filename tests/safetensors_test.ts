import { assertEquals, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFloats } from "../src/checkpoints/checkpoint.ts";
import { fileKind, openCheckpoint } from "../src/checkpoints/open.ts";
import { openSafetensors } from "../src/checkpoints/safetensors.ts";
import { writeSafetensors } from "../src/checkpoints/safetensors_writer.ts";
import {
  floatBytes,
  fuzz,
  join,
  rawSafetensors,
  safetensorsBytes,
} from "./support/weights.ts";

Deno.test("safetensors: tensors are read whole and in parts", async () => {
  const bytes = safetensorsBytes({
    b: { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] },
    a: { shape: [], data: [7] },
    none: { shape: [0, 4], data: [] },
  });
  const source = new MemorySource(bytes, "x.safetensors");
  assertEquals(await fileKind(source), "safetensors");
  const { tensors } = await openSafetensors(source);
  assertEquals([...tensors.keys()], ["b", "a", "none"]);
  const b = tensors.get("b")!;
  assertEquals([b.dtype, b.shape, b.bytes], ["F32", [2, 3], 24]);
  assertEquals([...await readFloats(b)], [1, 2, 3, 4, 5, 6]);
  assertEquals(await b.read(8, 8), floatBytes([3, 4]));
  assertEquals([...await readFloats(tensors.get("a")!)], [7]);
  assertEquals(tensors.get("none")!.bytes, 0);
});

Deno.test("safetensors: every floating-point type becomes f32", async () => {
  const parts = [
    new Uint8Array(new Float16Array([1.5, -2]).buffer),
    // bfloat16: the upper half of 1.5 and −2 as f32.
    new Uint8Array(new Uint16Array([0x3fc0, 0xc000]).buffer),
    new Uint8Array(new Float64Array([1.5, -2]).buffer),
    new Uint8Array(new BigInt64Array([1n, -2n]).buffer),
  ];
  const header = {
    __metadata__: { format: "pt" },
    half: { dtype: "F16", shape: [2], data_offsets: [0, 4] },
    bfloat: { dtype: "BF16", shape: [2], data_offsets: [4, 8] },
    double: { dtype: "F64", shape: [2], data_offsets: [8, 24] },
    long: { dtype: "I64", shape: [2], data_offsets: [24, 40] },
  };
  const bytes = rawSafetensors(header, join(parts));
  const { tensors, metadata } = await openSafetensors(new MemorySource(bytes));
  assertEquals(metadata, { format: "pt" });
  for (const name of ["half", "bfloat", "double"]) {
    assertEquals([...await readFloats(tensors.get(name)!)], [1.5, -2], name);
  }
  await assertRejects(
    () => readFloats(tensors.get("long")!),
    MasterWeaverError,
    "it holds I64, expected floating-point values",
  );
});

const entry = { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] };
const hostile: [string, unknown, string][] = [
  [
    "a tensor named twice",
    '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},' +
    '"\\u0061":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}',
    "its header is not sound JSON: it has a twice",
  ],
  [
    "offsets beyond the file",
    { a: { ...entry, data_offsets: [2 ** 40, 2 ** 40 + 16] } },
    "it is cut short, download it again",
  ],
  [
    "negative offsets",
    { a: { ...entry, data_offsets: [-16, 0] } },
    "its data offsets are [-16, 0]",
  ],
  [
    "offsets out of order",
    { a: { ...entry, data_offsets: [16, 0] } },
    "its data offsets are [16, 0]",
  ],
  [
    "offsets that are none",
    { a: { ...entry, data_offsets: {} } },
    "its data offsets are an object",
  ],
  [
    "a negative size",
    { a: { ...entry, shape: [-2, -2] } },
    "its shape has the dimension -2",
  ],
  [
    "a shape over its bytes",
    { a: { ...entry, shape: [1e9] } },
    "it takes 16 bytes, F32 (1000000000) needs 4000000000",
  ],
  [
    "too many elements",
    { a: { ...entry, shape: [2 ** 40, 2 ** 40] } },
    "has too many elements",
  ],
  [
    "nine dimensions",
    { a: { ...entry, shape: Array(9).fill(1) } },
    "it has 9 dimensions",
  ],
  [
    "an unknown dtype",
    { a: { ...entry, dtype: "F8_E8M0" } },
    "its dtype is F8_E8M0, expected one of BOOL",
  ],
  ["overlapping tensors", { a: entry, b: entry }, "tensor b starts at byte"],
  ["bytes of no tensor", {}, "its tensors end at byte 10, the file at 26"],
  ["an entry that is none", { a: 5 }, "tensor a: its entry is not an object"],
  [
    "metadata that is no text",
    { __metadata__: { a: 1 } },
    "its __metadata__ is not strings by name",
  ],
  ["a header that is a list", [], "its header is not a JSON object"],
  ["a header that is no JSON", "{a", "its header is not JSON"],
  ["a header nested deep", `{"a":${"[".repeat(1e6)}`, "its header is not JSON"],
];

for (const [what, header, message] of hostile) {
  Deno.test(`safetensors: ${what} is refused by name`, async () => {
    const bytes = rawSafetensors(header, new Uint8Array(16));
    const error = await assertRejects(
      () => openSafetensors(new MemorySource(bytes, "bad.safetensors")),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-checkpoint");
  });
}

Deno.test("safetensors: more tensors, or lists, than memory allows are refused", async () => {
  const many = Array.from(
    { length: 100_001 },
    (_, i) => `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`,
  );
  await assertRejects(
    () => openSafetensors(new MemorySource(rawSafetensors(`{${many.join()}}`))),
    MasterWeaverError,
    "its header is not sound JSON: it has more than 100000 keys in one object",
  );
  const lists = `{"a":[${"[],".repeat(1e6)}[]]}`;
  await assertRejects(
    () => openSafetensors(new MemorySource(rawSafetensors(lists))),
    MasterWeaverError,
    "it has more than 1000000 objects and lists",
  );
});

Deno.test("safetensors: a header longer than the file is refused", async () => {
  const whole = safetensorsBytes({ a: { shape: [2], data: [1, 2] } });
  for (const length of [0, 7, 8, 20, whole.length - 1]) {
    await assertRejects(
      () => openSafetensors(new MemorySource(whole.subarray(0, length))),
      MasterWeaverError,
    );
  }
  const huge = new Uint8Array(whole);
  huge.fill(255, 0, 8);
  await assertRejects(
    () => openSafetensors(new MemorySource(huge)),
    MasterWeaverError,
    "its header would be 18446744073709551615 bytes long",
  );
});

Deno.test("safetensors: 3000 damaged files open or are refused", async () => {
  const whole = safetensorsBytes({
    "conv.weight": { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] },
    "conv.bias": { shape: [2], data: [1, 2] },
  });
  const refused = await fuzz(whole, 3000, async (source) => {
    const { tensors, verify } = await openSafetensors(source);
    for (const tensor of tensors.values()) await tensor.read();
    await verify();
  });
  assertEquals(refused > 1500, true, `Only ${refused} were refused`);
});

Deno.test("open: what is not a checkpoint is named and refused", async () => {
  const cases: [string, string][] = [
    ["", "it is empty"],
    ["<!DOCTYPE html><html>", "it is a web page (a failed download?)"],
    ["version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"],
    ["GIF89a......", "its first bytes are 4749463839612e2e"],
  ];
  for (const [text, message] of cases) {
    const bytes = new TextEncoder().encode(text);
    await assertRejects(
      () => openCheckpoint(new MemorySource(bytes, "x.safetensors")),
      MasterWeaverError,
      message,
    );
  }
});

Deno.test("safetensors: what is written is read again", async () => {
  const chunks: Uint8Array[] = [];
  const append = (bytes: Uint8Array) => {
    chunks.push(bytes.slice());
    return Promise.resolve();
  };
  const whole = new Float32Array([0, 1, 2, 3, 4, 5, 6, 7]);
  await writeSafetensors(
    append,
    [
      // Views into a larger buffer, in chunks, from a source that waits or not.
      {
        name: "ä/b",
        shape: [2, 3],
        floats: () => [whole.subarray(1, 5), whole.subarray(5, 7)],
      },
      {
        name: "__proto__",
        shape: [],
        floats: async function* () {
          yield await Promise.resolve(whole.subarray(7));
        },
      },
    ],
    "F32",
    { state: '{"step":3}' },
  );
  const bytes = join(chunks);
  const { tensors, metadata } = await openSafetensors(new MemorySource(bytes));
  assertEquals(metadata, { state: '{"step":3}' });
  const first = tensors.get("ä/b")!;
  assertEquals(first.shape, [2, 3]);
  assertEquals([...await readFloats(first)], [1, 2, 3, 4, 5, 6]);
  assertEquals([...await readFloats(tensors.get("__proto__")!)], [7]);
  const header = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  assertEquals(header % 8, 0);
});

Deno.test("safetensors: wrong content is not written", async () => {
  const one = (name: string, shape: number[]) => ({
    name,
    shape,
    floats: () => [new Float32Array(2)],
  });
  const append = () => Promise.resolve();
  for (
    const [tensors, says] of [
      [[one("a", [3])], "Cannot write tensor a: it has 2 values"],
      [[one("a", [2]), one("a", [2])], "the file has that name already"],
      [[one("__metadata__", [2])], "the file has that name already"],
    ] as const
  ) {
    const error = await assertRejects(
      () => writeSafetensors(append, tensors, "F32"),
      MasterWeaverError,
      says,
    );
    assertEquals(error.code, "bad-option");
  }
});
