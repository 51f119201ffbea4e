import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type ByteSource, MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  type Checkpoint,
  type CheckpointTensor,
  readFloats,
} from "../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../src/checkpoints/open.ts";
import {
  PickleStorage,
  PickleTensor,
} from "../src/checkpoints/pickle_values.ts";
import { readableTensor } from "../src/checkpoints/torch_tensors.ts";
import { fuzz } from "./support/weights.ts";

// Written by PyTorch 2: a zip with protocol 2, one with protocol 4, and the
// older container, all of the same values.
const FILES = ["values.pt", "values_protocol4.pt", "values_legacy.pth"];

async function fixture(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return await Deno.readFile(
    new URL(`./fixtures/torch/${name}`, import.meta.url),
  );
}

async function open(name: string): Promise<Checkpoint> {
  return await openCheckpoint(new MemorySource(await fixture(name), name));
}

function tensorOf(checkpoint: Checkpoint, name: string): CheckpointTensor {
  const tensor = checkpoint.tensors.get(name);
  if (!tensor) throw new Error(`${checkpoint.name} has no ${name}`);
  return tensor;
}

/** 0, 1, 2, … as `torch.arange(24).reshape(2, 3, 4)` has them. */
const at = (i: number, j: number, k: number) => 12 * i + 4 * j + k;

for (const name of FILES) {
  Deno.test(`torch: ${name}: every tensor has PyTorch's values`, async () => {
    const checkpoint = await open(name);
    const expected: Record<string, [number[], number[]]> = {
      "state_dict.lin.weight": [[2, 3], [0, 1, 2, 3, 4, 5]],
      "state_dict.lin.bias": [[2], [0.5, -0.25]],
      parameter: [[3], [1, 2, 3]],
      // arange(24).reshape(2, 3, 4), its axes moved, and a part of it.
      transposed: [
        [4, 2, 3],
        [0, 1, 2, 3].flatMap((k) =>
          [0, 1].flatMap((i) => [0, 1, 2].map((j) => at(i, j, k)))
        ),
      ],
      slice: [[3, 2], [0, 1, 2].flatMap((j) => [at(1, j, 1), at(1, j, 2)])],
      channels_last: [[2, 3, 2, 2], Array.from({ length: 24 }, (_, i) => i)],
      half: [[3], [1.5, -2, 65504]],
      bfloat: [[3], [1.5, -2, 3.00405527047391e38]],
      double: [[2], [Math.fround(0.1), -Infinity]],
      scalar: [[], [7]],
      empty: [[0, 3], []],
      "list.0": [[2], [4, 5]],
    };
    for (const [name, [shape, values]] of Object.entries(expected)) {
      const tensor = tensorOf(checkpoint, name);
      assertEquals(tensor.shape, shape, name);
      assertEquals([...await readFloats(tensor)], values, name);
    }
    const long = await tensorOf(checkpoint, "long").read();
    assertEquals([...new BigInt64Array(long.buffer)], [-1n, 2n ** 40n]);
    assertEquals(
      [...await tensorOf(checkpoint, "boolean").read()],
      [1, 0],
    );
    assertEquals([...await tensorOf(checkpoint, "byte").read()], [0, 255]);
    // A step, a name, and six values of the list.
    assertEquals(checkpoint.otherValues, 8);
    assertEquals(checkpoint.tensors.size, 15);
    await checkpoint.verify();
  });

  Deno.test(`torch: ${name}: slices of a tensor equal the whole`, async () => {
    const checkpoint = await open(name);
    for (const path of ["transposed", "slice", "channels_last", "parameter"]) {
      const tensor = tensorOf(checkpoint, path);
      const whole = await tensor.read();
      for (let start = 0; start < tensor.bytes; start += 4) {
        for (let end = start; end <= tensor.bytes; end += 4) {
          assertEquals(
            await tensor.read(start, end - start),
            whole.slice(start, end),
          );
        }
      }
    }
  });

  Deno.test(`torch: ${name}: 2000 damaged files open or are refused`, async () => {
    await fuzz(await fixture(name), 2000, readEverything);
  });
}

async function readEverything(source: ByteSource): Promise<void> {
  const checkpoint = await openCheckpoint(source);
  for (const tensor of checkpoint.tensors.values()) await tensor.read();
  await checkpoint.verify();
}

for (const name of ["forbidden.pt", "forbidden_legacy.pth"]) {
  Deno.test(`torch: ${name}: a call to os.system is refused by name`, async () => {
    const error = await assertRejects(
      () => open(name),
      MasterWeaverError,
      `Cannot use ${name}: it asks for posix.system`,
    );
    assertEquals(error.code, "bad-checkpoint");
  });
}

Deno.test("torch: a flipped bit in a zip's data is found by verify", async () => {
  const bytes = await fixture("values.pt");
  const { tensors } = await openCheckpoint(new MemorySource(bytes));
  // The bytes of 1, 2, 3 as f32, which only `parameter` has.
  const text = new Uint8Array(await tensors.get("parameter")!.read());
  const place = indexOf(bytes, text);
  bytes[place] ^= 1;
  const damaged = await openCheckpoint(new MemorySource(bytes, "x.pt"));
  await assertRejects(
    () => damaged.verify(),
    MasterWeaverError,
    "is damaged (its checksum differs)",
  );
});

Deno.test("torch: a zip's entries are checked while they are read", async () => {
  const bytes = await fixture("values.pt");
  const whole = await openCheckpoint(new MemorySource(bytes));
  let storages = 0;
  for (const [name, { bytes: length }] of whole.tensors) {
    if (length < 12) continue; // may lie elsewhere by chance
    storages++;
    const text = await whole.tensors.get(name)!.read();
    const place = find(bytes, text);
    // Views that are not contiguous are nowhere in the file as they are.
    if (place < 0) continue;
    const flipped = Uint8Array.from(bytes);
    flipped[place + length - 1] ^= 4;
    const damaged = await openCheckpoint(new MemorySource(flipped, "x.pt"));
    let refused = 0;
    for (const tensor of damaged.tensors.values()) {
      const size = tensor.bytes;
      try {
        await tensor.read();
      } catch (error) {
        assert(error instanceof MasterWeaverError);
        assertEquals(error.code, "bad-checkpoint");
        const message = /^Cannot use x\.pt: its entry \S+ is damaged/;
        assert(message.test(error.message), error.message);
        refused++;
        // Reading slices checks it, too, and every time.
        await assertRejects(() => tensor.read(0, 0), MasterWeaverError);
        await assertRejects(() => tensor.read(0, size), MasterWeaverError);
      }
    }
    assert(refused > 0, name);
  }
  assert(storages > 2);
  // The pickle itself.
  const pickle = Uint8Array.from(bytes);
  pickle[indexOf(bytes, new TextEncoder().encode("parameter"))] ^= 1;
  await assertRejects(
    () => openCheckpoint(new MemorySource(pickle, "x.pt")),
    MasterWeaverError,
    "data.pkl is damaged (its checksum differs)",
  );
});

Deno.test("torch: a zip without checksums is read", async () => {
  // As `torch.serialization.set_crc32_options(False)` has them written.
  const bytes = await fixture("values.pt");
  const without = Uint8Array.from(bytes);
  const view = new DataView(without.buffer);
  const mark = new TextEncoder().encode("PK\x01\x02");
  for (let at = find(without, mark); at >= 0;) {
    view.setUint32(at + 16, 0, true);
    const next = find(without.subarray(at + 4), mark);
    at = next < 0 ? -1 : at + 4 + next;
  }
  const checkpoint = await openCheckpoint(new MemorySource(without));
  await checkpoint.verify();
  const original = await openCheckpoint(new MemorySource(bytes));
  for (const [name, tensor] of original.tensors) {
    assertEquals(await tensorOf(checkpoint, name).read(), await tensor.read());
  }
});

Deno.test("torch: a file cut short is refused", async () => {
  for (const name of FILES) {
    const bytes = await fixture(name);
    for (let length = 0; length < bytes.length; length += 97) {
      const cut = new MemorySource(bytes.subarray(0, length), name);
      await assertRejects(() => openCheckpoint(cut), MasterWeaverError);
    }
  }
});

Deno.test("torch: zip entries that share their bytes are refused", async () => {
  const bytes = await fixture("values.pt");
  const entry = indexOf(bytes, new TextEncoder().encode("PK\x01\x02"));
  const view = new DataView(bytes.buffer);
  // Stored and unpacked size of the first entry: nearly the whole file.
  view.setUint32(entry + 20, bytes.length - 200, true);
  view.setUint32(entry + 24, bytes.length - 200, true);
  await assertRejects(
    () => openCheckpoint(new MemorySource(bytes)),
    MasterWeaverError,
    "its entries take more than its 5349 bytes",
  );
});

/** A legacy file's pickle with one number of `lin.weight` changed. */
async function withTensor(change: [number[], number[]]): Promise<MemorySource> {
  const bytes = await fixture("values_legacy.pth");
  const [from, to] = change;
  bytes.set(to, indexOf(bytes, Uint8Array.from(from)));
  return new MemorySource(bytes, "x.pth");
}

Deno.test("torch: views that leave or repeat their storage are refused", async () => {
  // BININT1 2, BININT1 3, TUPLE2: the shape (2, 3), met first.
  const shape = [0x4b, 2, 0x4b, 3, 0x86];
  await assertRejects(
    async () => openCheckpoint(await withTensor([shape, [0x4b, 3]])),
    MasterWeaverError,
    "tensor state_dict.lin.weight: its shape (3, 3) with strides (3, 1) from 0 does not fit its 6 stored elements",
  );
  // BININT1 3, BININT1 1, TUPLE2: the strides (3, 1).
  const strides = [0x4b, 3, 0x4b, 1, 0x86];
  await assertRejects(
    async () => openCheckpoint(await withTensor([strides, [0x4b, 1]])),
    MasterWeaverError,
    "its shape (2, 3) with strides (1, 1) from 0 does not fit",
  );
});

Deno.test("torch: one value stands for as many as a weight has, and no more", () => {
  const view = (shape: number[], stride: number[]) =>
    readableTensor(
      new MemorySource(new Uint8Array(8), "x.pt"),
      "w",
      new PickleTensor(new PickleStorage("0", "F32", 2), 0, shape, stride),
      () => 0,
    );
  assertEquals(view([2, 8192, 4096], [1, 0, 0]).shape, [2, 8192, 4096]);
  for (
    const [shape, stride] of [
      [[8193, 8192], [0, 0]],
      [[2, 2], [1, 1]],
      [[3, 2], [1, 0]],
    ]
  ) {
    assertThrows(
      () => view(shape, stride),
      MasterWeaverError,
      "does not fit its 2 stored elements",
    );
  }
});

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  const at = find(bytes, part);
  if (at < 0) throw new Error("The bytes to change are not in the file");
  return at;
}

function find(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (part.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

// Saved with torch 2.15: a state dict in the middle of what training programs
// keep, from numpy scalars to omegaconf's configurations and callbacks that
// refer to themselves.
for (
  const name of [
    "objects.ckpt",
    "objects_protocol4.ckpt",
    "objects_legacy.ckpt",
  ]
) {
  Deno.test(`torch: ${name}: objects beside the weights are ignored`, async () => {
    const checkpoint = await open(name);
    const values: Record<string, number[]> = {
      "state_dict.w": [0, 1, 2, 3, 4, 5],
      "state_dict.t": [0, 1, 2],
      "state_dict.p": [1, 1],
      "opt.state.0.step": [1],
      "opt.state.0.exp_avg": [1, 1],
    };
    assertEquals(
      [...checkpoint.tensors.keys()].sort(),
      [...Object.keys(values), "gen"].sort(),
    );
    for (const [name, expected] of Object.entries(values)) {
      assertEquals(
        [...await readFloats(tensorOf(checkpoint, name))],
        expected,
      );
    }
    for (
      const name of [
        "omegaconf.dictconfig.DictConfig",
        "pytorch_lightning.callbacks.fake.Callback",
        "datetime.datetime",
        "pathlib.PosixPath",
      ]
    ) assert(checkpoint.objects?.includes(name), name);
    await fuzz(await fixture(name), 500, readEverything);
  });
}

/** What the fixtures of other protocols hold: text outside ASCII, views. */
const written: Record<string, number[]> = {
  a: [0, 1, 2, 3, 4, 5],
  "näm\\\u0431\u{1f600}.h": [1, 1],
  e: [1, 1, 1, 2, 2, 2],
  s: [7, 7, 7],
};

// Saved with torch.save(…, pickle_protocol=…): the first two are text, and an
// expanded tensor stores each value once.
for (
  const name of [
    "protocol0.pt",
    "protocol0_legacy.pth",
    "protocol1_legacy.pth",
    "protocol4_legacy.pth",
  ]
) {
  Deno.test(`torch: ${name}: pickles of every protocol are read`, async () => {
    const checkpoint = await open(name);
    assertEquals([...checkpoint.tensors.keys()], Object.keys(written));
    assertEquals(checkpoint.otherValues, 1);
    for (const [name, expected] of Object.entries(written)) {
      const tensor = tensorOf(checkpoint, name);
      assertEquals([...await readFloats(tensor)], expected);
      assertEquals(
        [...await readFloats(tensor, 1, 1)],
        expected.slice(1, 2),
      );
    }
    await checkpoint.verify();
    await fuzz(await fixture(name), 500, readEverything);
  });
}

for (const name of ["beside.pt", "beside_legacy.pth"]) {
  Deno.test(`torch: ${name}: sparse tensors and NumPy's generators are ignored`, async () => {
    const checkpoint = await open(name);
    assertEquals([...checkpoint.tensors.keys()], ["w"]);
    assertEquals([...await readFloats(tensorOf(checkpoint, "w"))], [1, 1]);
    assertEquals(checkpoint.objects, ["torch.sparse_tensor"]);
    assertEquals(checkpoint.otherValues, 3);
    await fuzz(await fixture(name), 500, readEverything);
  });
}

Deno.test("torch: a tensor inside an object that is ignored is refused by name", async () => {
  await assertRejects(
    () => open("hidden.ckpt"),
    MasterWeaverError,
    "a tensor is inside an object of pytorch_lightning.callbacks.fake.Callback",
  );
});

for (const name of ["float8.pt", "float8_legacy.pth"]) {
  Deno.test(`torch: ${name}: 8-bit floats have PyTorch's values`, async () => {
    const checkpoint = await open(name);
    // All codes in order; those of b are the second axis first.
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    assertEquals(await tensorOf(checkpoint, "a").read(), codes);
    const a = await readFloats(tensorOf(checkpoint, "a"));
    assertEquals([a[0], a[1], a[8], a[0x7e], a[0xfe]], [
      0,
      2 ** -9,
      2 ** -6,
      448,
      -448,
    ]);
    const b = tensorOf(checkpoint, "b");
    assertEquals([b.dtype, b.shape], ["F8_E5M2", [16, 16]]);
    const read = await readFloats(b);
    for (let code = 0; code < 256; code++) {
      const at = (code & 15) * 16 + (code >> 4);
      // The upper byte of an f16, by PyTorch's definition.
      const half = new Float16Array(Uint16Array.of(code << 8).buffer)[0];
      assertEquals(read[at], half, `code ${code}`);
    }
    assertEquals([...await readFloats(tensorOf(checkpoint, "bf"))], [
      0,
      1,
      2,
      3,
      4,
      5,
      6,
    ]);
  });
}
