/**
 * Weights in blocks: what lies where, whatever the pieces it comes in.
 */
import { assert, assertEquals } from "@std/assert";
import { UNIFORM_WINDOW } from "../src/gpu/pipelines.ts";
import { BlockPacker, blockSizes, blockWindows } from "../src/ops/blocks.ts";
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

Deno.test("blocks: octets of 16 rows side by side, missing rows zero", () => {
  const spec = { shape: [19, 24], dtype: "f32" } as const;
  const values = Float32Array.from({ length: 19 * 24 }, (_, i) => i + 1);
  const bytes = new Uint8Array(values.buffer);
  const whole = pack(spec, bytes, bytes.length);
  const packed = new Float32Array(whole.buffer);
  for (let row = 0; row < 32; row++) {
    for (let k = 0; k < 24; k++) {
      const at = (row >> 4) * 16 * 24 + (k >> 3) * 128 + (row & 15) * 8 +
        (k & 7);
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
    const { scalesStart } = blockSizes(spec);
    const octet = dtype === "q8" ? 8 : 4;
    for (let row = 0; row < 18; row++) {
      const block = row >> 4;
      const base = block * 16 * 12 * octet + (row & 15) * octet;
      assertEquals(
        packed[base + 16 * octet * 5 + 1],
        bytes[row * 12 * octet + 5 * octet + 1],
      );
      const scale = scalesStart + block * 96 + 2 * 32 + (row & 15) * 2;
      assertEquals(packed[scale], bytes[quants + (row * 3 + 2) * 2]);
    }
    assertEquals(packed.slice(-4), new Uint8Array(4));
  }
});

Deno.test("blocks: windows cover every sum once and fit a binding", () => {
  const shapes = [
    [8, 8],
    [40, 96],
    [128, 1056],
    [24, 20480],
    [
      320,
      3,
      3,
      320,
    ],
    [16, 3, 3, 2560],
    [8, 2, 2, 2080],
  ];
  for (const shape of shapes) {
    for (const dtype of ["f32", "f16", "q8", "q4"] as const) {
      const sizes = blockSizes({ shape, dtype });
      const octets = shape.at(-1)! / 8;
      const windows = blockWindows({ shape, dtype });
      let covered = 0;
      for (const { blocks, taps, octets: [from, to], start } of windows) {
        const rows = (taps[1] - taps[0]) * (to - from);
        const bytes = blocks * rows * 16 * sizes.octet;
        assert(start % 256 + bytes <= UNIFORM_WINDOW, `${shape} ${dtype}`);
        covered += blocks * rows;
      }
      const taps = sizes.row / sizes.octet / octets;
      assertEquals(covered, sizes.blocks * taps * octets);
      assertEquals(windows[0].first, true);
      assertEquals(windows.at(-1)!.last, true);
    }
  }
});
