import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { Crc32, crc32 } from "../src/weights/crc32.ts";
import { byteLength } from "../src/weights/dtype.ts";
import { roundToHalf } from "../src/checkpoints/half.ts";
import {
  checkWeavePadding,
  openWeave,
  type WeaveTensor,
} from "../src/weights/weave.ts";
import {
  floatBytes,
  floatTensor,
  fuzz,
  join,
  random,
  rawWeave,
  weaveBytes,
} from "./support/weights.ts";

async function readAll(
  tensor: WeaveTensor,
  maxBytes?: number,
): Promise<Uint8Array> {
  return join(await Array.fromAsync(tensor.chunks(maxBytes)));
}

const values = Array.from({ length: 300 }, (_, i) => i / 8);

Deno.test("weave: what is written is read back", async () => {
  const bytes = await weaveBytes({
    component: "vae",
    config: { block_out_channels: [24, 48], text: "ünï" },
    provenance: { sources: ["vae.bin"] },
    tensors: [
      floatTensor("conv.weight", [5, 3, 4, 5], values),
      floatTensor("scale", [], [7]),
    ],
  });
  const file = await openWeave(new MemorySource(bytes, "vae.weave"));
  assertEquals(file.component, "vae");
  assertEquals(file.config, { block_out_channels: [24, 48], text: "ünï" });
  assertEquals(file.provenance, { sources: ["vae.bin"] });
  assertEquals([...file.tensors.keys()], ["conv.weight", "scale"]);
  const tensor = file.tensors.get("conv.weight")!;
  assertEquals(tensor.shape, [5, 3, 4, 5]);
  assertEquals(tensor.bytes, 1200);
  assertEquals(await readAll(tensor), floatBytes(values));
  assertEquals(await readAll(file.tensors.get("scale")!), floatBytes([7]));
});

Deno.test("weave: chunks are as long as asked for, in whole values", async () => {
  const tensors = [floatTensor("a", [300], values)];
  const file = await openWeave(new MemorySource(await weaveBytes({ tensors })));
  const tensor = file.tensors.get("a")!;
  const lengths = async (maxBytes: number) =>
    (await Array.fromAsync(tensor.chunks(maxBytes))).map(({ length }) =>
      length
    );
  assertEquals(await lengths(512), [512, 512, 176]);
  assertEquals(await lengths(700), [512, 512, 176]);
  assertEquals(await lengths(1), [256, 256, 256, 256, 176]);
});

Deno.test("weave: data starts at multiples of 256, whatever the header's length", async () => {
  for (let length = 0; length < 600; length += 7) {
    const bytes = await weaveBytes({
      config: { filler: "x".repeat(length) },
      tensors: [floatTensor("a", [1], [1]), floatTensor("b", [1], [2])],
    });
    const file = await openWeave(new MemorySource(bytes));
    assertEquals(await readAll(file.tensors.get("b")!), floatBytes([2]));
  }
});

Deno.test("weave: the hash is of the header, which holds every checksum", async () => {
  const make = async (value: number) => {
    const tensors = [floatTensor("a", [1], [value])];
    const bytes = await weaveBytes({ tensors });
    return await openWeave(new MemorySource(bytes));
  };
  assertEquals((await make(1)).hash, (await make(1)).hash);
  assertEquals((await make(1)).hash.length, 64);
  assertEquals((await make(1)).hash === (await make(2)).hash, false);
});

Deno.test("weave: a flipped bit in the data is found when it is read", async () => {
  const tensors = [floatTensor("conv.weight", [300], values)];
  const bytes = await weaveBytes({ tensors });
  bytes[bytes.length - 5] ^= 4;
  const file = await openWeave(new MemorySource(bytes, "unet.weave"));
  const error = await assertRejects(
    () => readAll(file.tensors.get("conv.weight")!),
    MasterWeaverError,
    "unet.weave: tensor conv.weight is damaged",
  );
  assertEquals(error.code, "bad-model");
});

Deno.test("weave: bytes that belong to no tensor are zeros", async () => {
  const tensors = [
    floatTensor("a", [3], [1, 2, 3]),
    floatTensor("b", [300], values),
  ];
  const bytes = await weaveBytes({ tensors });
  await checkWeavePadding(new MemorySource(bytes));
  const dataStart = 24 +
    Number(new DataView(bytes.buffer).getBigUint64(16, true));
  const a = Math.ceil(dataStart / 256) * 256;
  const changed = (at: number) => {
    const other = new Uint8Array(bytes);
    other[at] = 7;
    return new MemorySource(other, "x.weave");
  };
  // After the header: found when the file is opened.
  for (const at of [dataStart, a - 1]) {
    await assertRejects(
      () => openWeave(changed(at)),
      MasterWeaverError,
      `x.weave: byte ${at} is 7, expected the zeros between header and tensors`,
    );
  }
  // Between two tensors: found when the whole file is checked.
  for (const at of [a + 12, a + 255]) {
    await openWeave(changed(at));
    await assertRejects(
      () => checkWeavePadding(changed(at)),
      MasterWeaverError,
      `byte ${at} is 7`,
    );
  }
  const longer = new MemorySource(join([bytes, new Uint8Array(5)]), "x.weave");
  await openWeave(longer);
  await assertRejects(
    () => checkWeavePadding(longer),
    MasterWeaverError,
    `its tensors end at byte ${bytes.length}, the file at ${bytes.length + 5}`,
  );
  await checkWeavePadding(new MemorySource(await weaveBytes({})));
});

const entry = {
  dtype: "f32",
  shape: [4, 4],
  offset: 512,
  bytes: 64,
  crc32: 0,
};
const header = (tensors: unknown, more: object = {}) => ({
  component: "unet",
  config: {},
  provenance: {},
  tensors,
  ...more,
});
const withEntry = (change: object) => header({ a: { ...entry, ...change } });

const hostile: [string, unknown, string][] = [
  [
    "an offset beyond the file",
    withEntry({ offset: 2 ** 40 }),
    "tensor a: it ends at byte 1099511627840, the file at 1280",
  ],
  [
    "an offset beyond whole numbers",
    withEntry({ offset: 2 ** 60 }),
    "tensor a: it starts at 1152921504606847000",
  ],
  [
    "a negative offset",
    withEntry({ offset: -256 }),
    "tensor a: it starts at -256",
  ],
  [
    "an offset in the header",
    withEntry({ offset: 0 }),
    "tensor a: it starts at 0",
  ],
  [
    "an offset out of line",
    withEntry({ offset: 516 }),
    "tensor a: it starts at 516, expected a multiple of 256",
  ],
  [
    "an offset that is no number",
    withEntry({ offset: "512" }),
    "tensor a: it starts at 512",
  ],
  [
    "a negative size",
    withEntry({ shape: [-4, -4] }),
    "tensor a: its shape has the dimension -4",
  ],
  [
    "a dimension of 0",
    withEntry({ shape: [0, 4], bytes: 0 }),
    "a dimension of its shape is 0",
  ],
  [
    "a broken dimension",
    withEntry({ shape: [1.5] }),
    "tensor a: its shape has the dimension 1.5",
  ],
  [
    "a shape that is no list",
    withEntry({ shape: 16 }),
    "tensor a: its shape is not a list",
  ],
  [
    "too many elements",
    withEntry({ shape: [2 ** 30, 2 ** 30] }),
    "tensor a: its shape (1073741824, 1073741824) has too many elements",
  ],
  [
    "dimensions over the file",
    withEntry({ shape: [1e9] }),
    "it takes 64 bytes, f32 (1000000000) needs 4000000000",
  ],
  [
    "nine dimensions",
    withEntry({ shape: Array(9).fill(1) }),
    "it has 9 dimensions, at most 8",
  ],
  ["negative bytes", withEntry({ bytes: -64 }), "it takes -64 bytes"],
  [
    "bytes that do not fit the shape",
    withEntry({ bytes: 60 }),
    "it takes 60 bytes, f32 (4, 4) needs 64",
  ],
  [
    "an unknown dtype",
    withEntry({ dtype: "f8" }),
    "its dtype is f8, which is unknown",
  ],
  [
    "a dtype of the prototype",
    withEntry({ dtype: "constructor" }),
    "its dtype is constructor",
  ],
  [
    "q8 off its blocks",
    withEntry({ dtype: "q8", shape: [4, 4] }),
    "its last dimension is 4, q8 needs a multiple of 32",
  ],
  ["a checksum that is none", withEntry({ crc32: -1 }), "its checksum is -1"],
  [
    "overlapping tensors",
    header({ a: entry, b: entry }),
    "tensor b starts at 512, inside tensor a that ends at 576",
  ],
  [
    "an entry that is none",
    header({ a: null }),
    "tensor a: its entry is not an object",
  ],
  ["an empty name", header({ "": entry }), "its name is empty"],
  ["tensors that are a list", header([entry]), "its header has no tensors"],
  ["no config", header({}, { config: 1 }), "its header has no config"],
  [
    "no provenance",
    header({}, { provenance: null }),
    "its header has no provenance",
  ],
  [
    "no component",
    header({}, { component: "" }),
    "its header names no component",
  ],
  ["a header that is a list", [], "its header is not a JSON object"],
  ["a header that is no JSON", "{", "its header is not JSON"],
];

for (const [what, content, message] of hostile) {
  Deno.test(`weave: ${what} is refused by name`, async () => {
    const error = await assertRejects(
      () => openWeave(rawWeave(content)),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-model");
    assertStringIncludes(error.message, "Cannot use test.weave: ");
  });
}

Deno.test("weave: a header of 10⁹ dimensions is refused without making them", async () => {
  // As many as fit in a header: 30 million.
  const shape = `[${"1,".repeat(15e6)}1]`;
  const text = JSON.stringify(header({ a: { ...entry, shape: "?" } }))
    .replace('"?"', shape);
  await assertRejects(
    () => openWeave(rawWeave(text)),
    MasterWeaverError,
    "it has 15000001 dimensions, at most 8",
  );
});

Deno.test("weave: a bad preamble is refused", async () => {
  const good = await weaveBytes({ tensors: [floatTensor("a", [1], [1])] });
  const changed = (at: number, byte: number) => {
    const bytes = new Uint8Array(good);
    bytes[at] = byte;
    return bytes;
  };
  const cases: [Uint8Array, string][] = [
    [new Uint8Array(0), "it is not a .weave file"],
    [good.subarray(0, 5), "it is not a .weave file"],
    [changed(0, 0), "it is not a .weave file"],
    [good.subarray(0, 20), "it ends after 20 bytes"],
    [changed(8, 2), "its version is 2, expected 1"],
    [changed(12, good[12] ^ 1), "its header is damaged (the checksum differs)"],
    [changed(30, good[30] ^ 1), "its header is damaged (the checksum differs)"],
    [changed(19, 1), "bytes long, the file only"],
    [changed(23, 255), "at most 67108864 are allowed"],
    [
      good.subarray(0, good.length - 1),
      "tensor a: it ends at byte 260, the file at 259",
    ],
  ];
  for (const [bytes, message] of cases) {
    const error = await assertRejects(
      () => openWeave(new MemorySource(bytes, "bad.weave")),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-model");
  }
});

Deno.test("weave: 3000 damaged files open or are refused", async () => {
  const whole = await weaveBytes({
    tensors: [
      floatTensor("conv.weight", [2, 3, 4], values.slice(0, 24)),
      floatTensor("conv.bias", [2], [1, 2]),
    ],
  });
  const open = async (source: MemorySource) => {
    const file = await openWeave(source);
    for (const tensor of file.tensors.values()) await readAll(tensor);
  };
  const refused = await fuzz(whole, 2000, open);
  assertEquals(refused > 1000, true, `Only ${refused} were refused`);
  // And with a right checksum, so that the header's content is checked.
  const text = new TextDecoder().decode(
    whole.subarray(24, 24 + whole[16] + 256 * whole[17]),
  );
  await fuzz(new TextEncoder().encode(text), 1000, async (damaged) => {
    const bytes = await damaged.read(0, damaged.size);
    await open(rawWeave(new TextDecoder().decode(bytes)));
  });
});

Deno.test("weave: the writer refuses data that does not fit its shape", async () => {
  const cases: [Parameters<typeof floatTensor>, string][] = [
    [["a", [3], [1, 2]], "it gave 8 bytes, f32 (3) needs 12"],
    [["a", [0], []], "its shape (0) is not valid"],
    [["a", [-1], [1]], "its shape (-1) is not valid"],
  ];
  for (const [parameters, message] of cases) {
    await assertRejects(
      () => weaveBytes({ tensors: [floatTensor(...parameters)] }),
      MasterWeaverError,
      message,
    );
  }
  const twice = [floatTensor("a", [1], [1]), floatTensor("a", [1], [2])];
  await assertRejects(
    () => weaveBytes({ tensors: twice }),
    MasterWeaverError,
    "two of its tensors have one name",
  );
});

Deno.test("dtype: quantised tensors hold a scale for each block of 32", () => {
  assertEquals(byteLength("q8", [3, 64]), 192 + 12);
  assertEquals(byteLength("q4", [3, 64]), 96 + 12);
  // Scales are padded to a multiple of 4 bytes.
  assertEquals(byteLength("q8", [3, 32]), 96 + 8);
  assertEquals(byteLength("q4", [3, 32]), 48 + 8);
});

Deno.test("crc32: equals the standard's check value, in any chunks", () => {
  const text = new TextEncoder().encode("123456789");
  assertEquals(crc32(text), 0xcbf43926);
  assertEquals(crc32(new Uint8Array(0)), 0);
  // A byte at a time, as the standard's definition has it.
  const next = random(1);
  const bytes = Uint8Array.from({ length: 1000 }, () => next(256));
  let state = 0xffffffff;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      state = state & 1 ? state >>> 1 ^ 0xedb88320 : state >>> 1;
    }
  }
  const crc = new Crc32();
  for (let at = 0; at < bytes.length;) {
    const length = next(30);
    crc.update(bytes.subarray(at, at + length));
    at += length;
  }
  assertEquals(crc.value, ~state >>> 0);
});

Deno.test("half: rounds to nearest, ties to even, and counts overflows", () => {
  const { halves, overflows, maxError } = roundToHalf(
    new Float32Array([1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -25, 65519, 65520]),
  );
  // 65519 rounds down to the largest f16, 65520 up to infinity.
  assertEquals([...halves], [1, 1 + 2 ** -9, 0, 65504, Infinity]);
  assertEquals(overflows, 1);
  assertEquals(maxError, 15);
});
