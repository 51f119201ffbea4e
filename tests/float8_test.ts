import { assertEquals } from "@std/assert";
import { float8ToFloat32 } from "../src/checkpoints/float8.ts";

const codes = Uint8Array.from({ length: 256 }, (_, code) => code);

/**
 * The 128 codes without a sign of PyTorch's `float8_e4m3fn`, in units of 2⁻⁹:
 * `torch.arange(128, dtype=torch.uint8).view(torch.float8_e4m3fn).float() * 512`.
 */
const e4m3 =
  "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 18 20 22 24 26 28 30 32 36 40 44 48 52 56 60 64 72 80 88 96 104 112 120 128 144 160 176 192 208 224 240 256 288 320 352 384 416 448 480 512 576 640 704 768 832 896 960 1024 1152 1280 1408 1536 1664 1792 1920 2048 2304 2560 2816 3072 3328 3584 3840 4096 4608 5120 5632 6144 6656 7168 7680 8192 9216 10240 11264 12288 13312 14336 15360 16384 18432 20480 22528 24576 26624 28672 30720 32768 36864 40960 45056 49152 53248 57344 61440 65536 73728 81920 90112 98304 106496 114688 122880 131072 147456 163840 180224 196608 212992 229376 NaN"
    .split(" ").map(Number);

Deno.test("float8: every code of E4M3 has PyTorch's value", () => {
  const values = float8ToFloat32(codes, "F8_E4M3");
  for (let code = 0; code < 128; code++) {
    assertEquals(values[code], e4m3[code] / 512, `code ${code}`);
    assertEquals(values[code + 128], -e4m3[code] / 512, `code ${code + 128}`);
  }
});

Deno.test("float8: every code of E5M2 is the f16 of which it is the upper byte", () => {
  const halves = Uint16Array.from(codes, (code) => code << 8);
  assertEquals(
    [...float8ToFloat32(codes, "F8_E5M2")],
    [...new Float16Array(halves.buffer)],
  );
});
