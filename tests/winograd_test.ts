/**
 * Winograd's kernels: G g Gᵀ, where each value lies, in whatever pieces it comes.
 */
import { assertAlmostEquals, assertEquals } from "@std/assert";
import {
  pointBytes,
  POINTS,
  WinogradPacker,
} from "../src/ops/weights/winograd.ts";

const G = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]];

Deno.test("winograd: each point's matrix lies in blocks, in any pieces", () => {
  const [out, channels] = [19, 16];
  const spec = { shape: [out, 3, 3, channels], dtype: "f32" } as const;
  const kernels = Float32Array.from(
    { length: out * 9 * channels },
    (_, i) => Math.sin(i * 1.7),
  );
  const bytes = new Uint8Array(kernels.buffer);
  const pack = (piece: number) => {
    const packed = new Uint8Array(POINTS * pointBytes(spec));
    const packer = new WinogradPacker(
      spec,
      (offset, part) => packed.set(part, offset),
    );
    for (let at = 0; at < bytes.length; at += piece) {
      packer.push(bytes.subarray(at, at + piece));
    }
    packer.finish();
    return packed;
  };
  const whole = pack(bytes.length);
  for (const piece of [4, 100, 1001]) assertEquals(pack(piece), whole);
  const found = new Float32Array(whole.buffer);
  const block = 16 * channels;
  for (let o = 0; o < 32; o++) {
    for (let i = 0; i < channels; i++) {
      for (let point = 0; point < POINTS; point++) {
        let want = 0;
        for (let tap = 0; o < out && tap < 9; tap++) {
          want += G[point >> 2][Math.floor(tap / 3)] * G[point & 3][tap % 3] *
            kernels[(o * 9 + tap) * channels + i];
        }
        const at = point * pointBytes(spec) / 4 + (o >> 4) * block +
          (i >> 2) * 64 + (o & 15) * 4 + (i & 3);
        assertAlmostEquals(found[at], want, 1e-6);
      }
    }
  }
});
