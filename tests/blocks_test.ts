/**
 * Weights in blocks: what lies where, whatever the pieces it comes in.
 */
import { assertEquals } from "@std/assert";
import {
  BlockPacker,
  blockSizes,
  blockTexels,
} from "../src/ops/weights/blocks.ts";
import type { TensorSpec } from "../src/ops/op.ts";

/** Packs bytes that come in pieces of a length. */
function pack(spec: TensorSpec, bytes: Uint8Array, piece: number): Uint8Array {
  const out = new Uint8Array(blockSizes(spec).total);
  const packer = new BlockPacker(spec, (offset, part) => out.set(part, offset));
  for (let at = 0; at < bytes.length; at += piece) {
    packer.push(bytes.subarray(at, at + piece));
  }
  packer.finish();
  return out;
}

Deno.test("blocks: quads of 16 rows side by side, missing rows zero", () => {
  const spec = { shape: [19, 24], dtype: "f32" } as const;
  const values = Float32Array.from({ length: 19 * 24 }, (_, i) => i + 1);
  const bytes = new Uint8Array(values.buffer);
  const whole = pack(spec, bytes, bytes.length);
  const packed = new Float32Array(whole.buffer);
  for (let row = 0; row < 32; row++) {
    for (let k = 0; k < 24; k++) {
      const at = (row >> 4) * 16 * 24 + (k >> 2) * 64 + (row & 15) * 4 +
        (k & 3);
      assertEquals(packed[at], row < 19 ? row * 24 + k + 1 : 0);
    }
  }
  for (const piece of [1, 7, 96, 1000]) {
    assertEquals(pack(spec, bytes, piece), whole, `pieces of ${piece}`);
  }
});

Deno.test("blocks: scales of quantised weights follow, 16 rows side by side", () => {
  for (const dtype of ["q8", "q4"] as const) {
    const spec = { shape: [18, 96], dtype };
    const quants = 18 * 96 / (dtype === "q8" ? 1 : 2);
    const bytes = Uint8Array.from(
      { length: quants + 18 * 3 * 2 },
      (_, i) => i * 31,
    );
    const packed = pack(spec, bytes, 50);
    const { scalesStart, row: rowBytes } = blockSizes(spec);
    for (let row = 0; row < 18; row++) {
      // Four bytes of a row stand together: a quad in q8, two in q4.
      const block = row >> 4;
      const base = block * 16 * rowBytes + (row & 15) * 4;
      assertEquals(packed[base + 16 * 4 * 5 + 1], bytes[row * rowBytes + 21]);
      const scale = scalesStart + block * 96 + 2 * 32 + (row & 15) * 2;
      assertEquals(packed[scale], bytes[quants + (row * 3 + 2) * 2]);
    }
    assertEquals(packed.slice(-4), new Uint8Array(4));
  }
});

Deno.test("blocks: in texels, a block, its scales, and where they begin", () => {
  const count = (dtype: TensorSpec["dtype"]) =>
    blockTexels({ shape: [40, 3, 3, 64], dtype });
  // 16 rows of 576 values, 16 bytes a texel; three blocks.
  const none = { blockScales: 0 };
  assertEquals(count("f32"), { block: 2304, scalesStart: 6912, ...none });
  assertEquals(count("f16"), { block: 1152, scalesStart: 3456, ...none });
  const scales = { blockScales: 36 };
  assertEquals(count("q8"), { block: 576, scalesStart: 1728, ...scales });
  assertEquals(count("q4"), { block: 288, scalesStart: 864, ...scales });
});
