/**
 * Conversion holds pieces of a tensor, never a whole large one.
 */
import { assert, assertEquals } from "@std/assert";
import type {
  Checkpoint,
  CheckpointTensor,
} from "../src/checkpoints/checkpoint.ts";
import { planConversion } from "../src/checkpoints/conversion.ts";

const MIB = 2 ** 20;

/** A tensor of zeros, as large as its shape says, that records how it is read. */
function zeros(
  name: string,
  shape: number[],
  reads: number[],
): CheckpointTensor {
  const bytes = 4 * shape.reduce((a, b) => a * b, 1);
  return {
    name,
    dtype: "F32",
    shape,
    bytes,
    read(offset = 0, length = bytes - offset) {
      assert(offset + length <= bytes);
      reads.push(length);
      return Promise.resolve(new Uint8Array(length));
    },
  };
}

for (const dtype of ["f32", "f16", "q8", "q4"] as const) {
  Deno.test(`streaming: a tensor of 90 MB is converted to ${dtype} in pieces of 4 MB`, async () => {
    const reads: number[] = [];
    const name = "mid_block.resnets.0.conv1.weight";
    const shape = [800, 3200, 3, 3];
    const tensor = zeros(name, shape, reads);
    const checkpoint: Checkpoint = {
      name: "zeros",
      kind: "safetensors",
      tensors: new Map([[name, tensor]]),
      otherValues: 0,
      metadata: {},
      verify: () => Promise.resolve(),
    };
    const row = { name, shape, from: [{ names: [name], shape }] };
    const table = { component: "unet", rows: [row], dropped: [] };
    const { tensors: [written] } = planConversion(table, [checkpoint], dtype);
    assertEquals(written.dtype, dtype);
    let total = 0;
    for await (const piece of written.data()) {
      assert(
        piece.byteLength <= 4 * MIB,
        `a piece of ${piece.byteLength} bytes`,
      );
      total += piece.byteLength;
    }
    const values = tensor.bytes / 4;
    const perValue = { f32: 4, f16: 2, q8: 1 + 1 / 16, q4: 0.5 + 1 / 16 };
    assertEquals(total, values * perValue[dtype]);
    assert(reads.every((length) => length <= 4 * MIB), `${Math.max(...reads)}`);
    assertEquals(reads.reduce((a, b) => a + b), tensor.bytes);
  });
}
