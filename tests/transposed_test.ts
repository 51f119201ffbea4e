/**
 * Frozen weights laid out for the gradient by x: as plain loops rearrange them,
 * whatever the slab that is held at once and the chunks of the file.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { WeightRef } from "../src/weights/scope.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import { weightChunks } from "../src/weights/source.ts";
import {
  padChannels,
  transpose,
  transposed,
} from "../src/weights/transposed.ts";
import { makeInput, normal } from "./ops/op_case.ts";
import { deno, finished } from "./support/command.ts";
import { repositoryPath } from "./support/paths.ts";
import { floatWeight, quantisedWeight } from "./support/stored_inputs.ts";
import { join } from "./support/weights.ts";

/** A weight (O, …, I) as (I, …, O), its window turned by half a turn, O padded with zeros. */
function turned(
  values: ArrayLike<number>,
  shape: readonly number[],
): Float32Array {
  const [out, channels] = [shape[0], shape.at(-1)!];
  const taps = shape.slice(1, -1).reduce((product, n) => product * n, 1);
  const padded = padChannels(out);
  const found = new Float32Array(channels * taps * padded);
  for (let o = 0; o < out; o++) {
    for (let tap = 0; tap < taps; tap++) {
      for (let c = 0; c < channels; c++) {
        found[(c * taps + taps - 1 - tap) * padded + o] =
          values[(o * taps + tap) * channels + c];
      }
    }
  }
  return found;
}

/** A weight whose file is read in chunks of so many bytes. */
function inChunks(ref: WeightRef, most: number): WeightRef {
  const chunks = () => ref.tensor.chunks(most);
  return { ...ref, tensor: { ...ref.tensor, chunks } };
}

async function floatsOf({ tensor }: WeightRef): Promise<Float32Array> {
  const chunks = await Array.fromAsync(weaveFloats(tensor));
  return Float32Array.from(chunks.flatMap((chunk) => [...chunk]));
}

const shapes = [[1, 1], [5, 12], [8, 4], [7, 3, 3, 20], [6, 2, 1, 4], [
  4,
  1,
  5,
  8,
]];

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`transposed weights: ${dtype}, as loops rearrange them`, async () => {
    for (const shape of shapes) {
      const given = makeInput(normal(shape), 3);
      const ref = floatWeight("w", given, dtype);
      const want = turned(await floatsOf(ref), shape);
      const row = want.length / shape.at(-1)!;
      // One row, some that do not divide them, all; less than a row is one.
      for (const slab of [1, row, 3 * row, 7 * row + 1, Infinity]) {
        for (const chunk of [4, 44, 1 << 20]) {
          const made = transpose(inChunks(ref, chunk), slab);
          assertEquals(made.shape, [
            shape.at(-1)!,
            ...shape.slice(1, -1),
            padChannels(shape[0]),
          ]);
          assertEquals(made.tensor.shape, made.shape);
          assertEquals(made.tensor.dtype, dtype);
          assertEquals(await floatsOf(made), want);
          const bytes = join(await Array.fromAsync(made.tensor.chunks()));
          assertEquals(bytes.length, made.tensor.bytes);
        }
      }
    }
  });
}

for (const dtype of ["q8", "q4"] as const) {
  Deno.test(`transposed weights: ${dtype}, as f32 with the same values`, async () => {
    for (const shape of [[5, 32], [6, 3, 2, 64]]) {
      const { data } = makeInput(normal(shape), 4);
      const { ref, values } = quantisedWeight("w", shape, data, dtype);
      const made = transpose(ref, 3000);
      assertEquals(made.tensor.dtype, "f32");
      assertEquals(await floatsOf(made), turned(values, shape));
      // A graph of f16 has it rounded.
      const chunks = await Array.fromAsync(weightChunks(made.tensor, "f16"));
      const bytes = join(chunks.map(({ bytes }) => bytes));
      assertEquals(
        new Float16Array(bytes.buffer),
        new Float16Array(turned(values, shape)),
      );
      const read = chunks.reduce((sum, { read }) => sum + read, 0);
      assertEquals(read, made.tensor.bytes);
    }
  });
}

Deno.test("transposed weights: plans share the one there is", () => {
  const ref = floatWeight("w", makeInput(normal([4, 8]), 0), "f32");
  assertEquals(transposed(ref).name, "w transposed");
  assert(transposed(ref) === transposed(ref));
  assert(transposed(ref) !== transposed({ ...ref }));
});

Deno.test("transposed weights: a file with too few values is refused by name", async () => {
  const { tensor } = floatWeight("w", makeInput(normal([4, 7]), 0), "f32");
  const shape = [4, 8];
  const ref = { name: "w", shape, tensor: { ...tensor, shape } };
  const error = await assertRejects(
    () => floatsOf(transposed(ref)),
    MasterWeaverError,
    "Weight w has 28 values, expected 32",
  );
  assertEquals(error.code, "bad-model");
});

Deno.test("transposed weights: a slab is held at once, and each reads the file once", async () => {
  const ref = floatWeight("w", makeInput(normal([24, 3, 3, 40]), 0), "f32");
  let reads = 0;
  const chunks = () => {
    reads++;
    return ref.tensor.chunks(1 << 12);
  };
  const counted = { ...ref, tensor: { ...ref.tensor, chunks } };
  const row = 24 * 9;
  const made = transpose(counted, 15 * row);
  const lengths = (await Array.fromAsync(made.tensor.chunks()))
    .map(({ length }) => length / 4 / row);
  assertEquals(lengths, [15, 15, 10]);
  assertEquals(reads, 3);
});

Deno.test({
  name: "transposed weights: 256 MB are transposed without being held whole",
  ignore: Deno.build.os !== "linux",
  async fn() {
    // In a process of its own: others use this one's memory, too.
    const script = repositoryPath("tests/support/transposed_weight.ts");
    const { code, out, err } = await finished(deno(["run", "-A", script]));
    assertEquals([code, err], [0, []]);
    // A slab of 16 MiB, and chunks of the file that are not yet collected.
    assert(Number.parseFloat(out) < 225, `${out} MiB of host memory`);
  },
});
