import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  torchCpuNormal,
  torchCpuNormals,
  torchCudaNormal,
} from "../src/samplers/noise.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { floats, readSafetensors } from "./support/safetensors.ts";

const goldens = await readSafetensors(
  new URL("goldens/noise.safetensors", import.meta.url),
);

function largestDifference(a: Float32Array, b: Float32Array): number {
  assertEquals(a.length, b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
}

Deno.test("noise: every draw of PyTorch's CPU generator is reproduced", () => {
  assert(goldens.size >= 5);
  for (const name of goldens.keys()) {
    const [, seed, count] = name.match(/^cpu\.seed(\d+)\.n(\d+)$/) ?? [];
    const ours = torchCpuNormal(BigInt(seed), Number(count));
    // PyTorch's vectorised float32 log, sin and cos are within about 1e-6 of the
    // true values at magnitudes up to 5; the scalar path is float64: the last bit.
    const tolerance = Number(count) < 16 ? 0 : 2e-6;
    const difference = largestDifference(ours, floats(goldens, name));
    assert(difference <= tolerance, `${name}: off by ${difference}`);
  }
});

Deno.test("noise: the CUDA generator gives the known first values of seed 0", () => {
  // torch.randn(10, device="cuda") after manual_seed(0), as printed: 4 decimals.
  const known = [
    -0.9247,
    -0.4253,
    -2.6438,
    0.1452,
    -0.1209,
    -0.5797,
    -0.6229,
    -0.3284,
    -1.0745,
    -0.3631,
  ];
  const ours = torchCudaNormal(0, 10);
  assertEquals(Array.from(ours, (x) => Number(x.toFixed(4))), known);
});

Deno.test("noise: CUDA values do not depend on the count, but on seed and draw", () => {
  const long = torchCudaNormal(42, 1000);
  assertEquals(torchCudaNormal(42, 10), long.slice(0, 10));
  assert(largestDifference(torchCudaNormal(43, 1000), long) > 1);
  assert(largestDifference(torchCudaNormal(42, 1000, 1), long) > 1);
  // A seed over 32 bits uses both words of the key.
  const high = torchCudaNormal((1n << 32n) + 42n, 1000);
  assert(largestDifference(high, long) > 1);
});

/** Ten rounds of Philox 4×32 over a 128-bit counter and a 64-bit key, in whole numbers. */
function philoxWords(counter: bigint, key: bigint): number[] {
  const low = (x: bigint) => x & 0xffffffffn;
  let [a, b, c, d] = [0n, 32n, 64n, 96n].map((at) => low(counter >> at));
  let [k, l] = [low(key), key >> 32n];
  for (let round = 0; round < 10; round++) {
    const first = 0xd2511f53n * a;
    const second = 0xcd9e8d57n * c;
    [a, b, c, d] = [
      (second >> 32n) ^ b ^ k,
      low(second),
      (first >> 32n) ^ d ^ l,
      low(first),
    ];
    k = low(k + 0x9e3779b9n);
    l = low(l + 0xbb67ae85n);
  }
  return [a, b, c, d].map(Number);
}

/**
 * PyTorch's `distribution_elementwise_grid_stride_kernel` with `curand_normal4`,
 * thread by thread, as its source has it.
 */
function cudaKernel(
  seed: bigint,
  count: number,
  draw: number,
  processors: number,
  threadsEach: number,
): Float32Array {
  const blockDim = 256;
  const gridDim = Math.min(
    processors * Math.floor(threadsEach / blockDim),
    Math.floor((count + blockDim - 1) / blockDim),
  );
  const stride = blockDim * gridDim * 4;
  const turns = Math.floor((count - 1) / stride) + 1;
  const out = new Float32Array(count);
  for (let blockIdx = 0; blockIdx < gridDim; blockIdx++) {
    for (let threadIdx = 0; threadIdx < blockDim; threadIdx++) {
      const idx = blockIdx * blockDim + threadIdx;
      // curand_init(seed, idx, draw · turns · 4): a call takes four of the offset.
      let counter = (BigInt(idx) << 64n) + BigInt(draw * turns);
      for (let linear = idx; linear < turns * stride; linear += stride) {
        const words = philoxWords(counter++, seed);
        for (let ii = 0; ii < 4; ii++) {
          const li = linear + blockDim * gridDim * ii;
          if (li >= count) continue;
          const [x, y] = words.slice(ii < 2 ? 0 : 2);
          const inverse = Math.fround(2.3283064e-10);
          const turn = Math.fround(inverse * Math.fround(6.2831855));
          const u = Math.fround(Math.fround(x) * inverse + inverse / 2);
          const v = Math.fround(Math.fround(y) * turn + turn / 2);
          const s = Math.sqrt(-2 * Math.log(u));
          out[li] = s * (ii % 2 === 0 ? Math.sin(v) : Math.cos(v));
        }
      }
    }
  }
  return out;
}

Deno.test("noise: longer draws repeat as PyTorch's kernel does on a GPU of so many threads", () => {
  const cases = [
    // As many threads as values, one more, the last of four, a second turn.
    { count: 2048, processors: 2, threadsEach: 1024, draw: 0 },
    { count: 2049, processors: 2, threadsEach: 1024, draw: 0 },
    { count: 8192, processors: 2, threadsEach: 1024, draw: 3 },
    { count: 8193, processors: 2, threadsEach: 1024, draw: 0 },
    { count: 30_001, processors: 3, threadsEach: 1536, draw: 2 },
    // Threads that no whole block holds are not started.
    { count: 9000, processors: 3, threadsEach: 1100, draw: 0 },
    { count: 100, processors: 40, threadsEach: 1024, draw: 1 },
  ];
  for (const seed of [42n, (7n << 40n) + 5n]) {
    for (const { count, processors, threadsEach, draw } of cases) {
      const threads = processors * Math.floor(threadsEach / 256) * 256;
      assertEquals(
        torchCudaNormal(seed, count, draw, threads),
        cudaKernel(seed, count, draw, processors, threadsEach),
        `${count} values by ${threads} threads`,
      );
    }
  }
});

Deno.test("noise: where no GPU is named, there are as many threads as values", () => {
  const values = torchCudaNormal(5, 5000);
  assertEquals(torchCudaNormal(5, 5000, 0, 5120), values);
  assertEquals(torchCudaNormal(5, 5000, 0, 40_960), values);
  assert(largestDifference(torchCudaNormal(5, 5000, 0, 4864), values) > 1);
});

Deno.test("noise: a number of threads no GPU has is refused", () => {
  for (const threads of [-256, 100, 1.5, NaN, 2 ** 30]) {
    assertThrows(
      () => torchCudaNormal(0, 4, 0, threads),
      MasterWeaverError,
      `got ${threads}`,
    );
  }
});

Deno.test("noise: both generators are standard normal", () => {
  for (const draw of [torchCpuNormal, torchCudaNormal]) {
    const count = 65536;
    const values = draw(1, count);
    const mean = values.reduce((sum, x) => sum + x, 0) / count;
    const variance = values.reduce((sum, x) => sum + x * x, 0) / count;
    const fourth = values.reduce((sum, x) => sum + x ** 4, 0) / count;
    // Five standard errors of each moment over 65,536 values.
    assert(Math.abs(mean) < 5 / 256, `mean ${mean}`);
    assert(Math.abs(variance - 1) < 5 * Math.SQRT2 / 256, `${variance}`);
    assert(Math.abs(fourth - 3) < 5 * Math.sqrt(96) / 256, `${fourth}`);
  }
});

Deno.test("noise: the CPU generator uses a seed's low 32 bits, wrapped", () => {
  assertEquals(torchCpuNormal(7, 32), torchCpuNormal((5n << 32n) + 7n, 32));
  assertEquals(torchCpuNormal(-1, 32), torchCpuNormal(2n ** 64n - 1n, 32));
  assertEquals(torchCudaNormal(-1, 8), torchCudaNormal(2n ** 64n - 1n, 8));
});

Deno.test("noise: counts of 0, odd and ragged sizes are filled", () => {
  for (const count of [0, 1, 3, 15, 16, 17, 31, 33]) {
    const values = torchCpuNormal(3, count);
    assertEquals(values.length, count);
    assert(values.every((x) => Number.isFinite(x) && x !== 0));
    assertEquals(torchCudaNormal(3, count).length, count);
  }
});

Deno.test("noise: seeds and counts outside are refused with the number", () => {
  for (const seed of [1.5, NaN, 2 ** 60, 2n ** 64n, -(2n ** 63n) - 1n]) {
    for (const draw of [torchCpuNormal, torchCudaNormal]) {
      const error = assertThrows(
        () => draw(seed, 4),
        MasterWeaverError,
        `got ${seed}`,
      );
      assertEquals(error.code, "bad-option");
    }
  }
  for (const count of [-1, 0.5, 1e15]) {
    assertThrows(() => torchCpuNormal(0, count), MasterWeaverError);
    assertThrows(() => torchCudaNormal(0, count), MasterWeaverError);
  }
  assertThrows(() => torchCudaNormal(0, 1, -1), MasterWeaverError, "Draw");
});

Deno.test("noise: later draws of one CPU generator are PyTorch's", () => {
  // g = torch.Generator().manual_seed(7); torch.randn(64, generator=g), …
  const draw = torchCpuNormals(7);
  assertEquals(draw(64), torchCpuNormal(7, 64));
  const near = (found: Float32Array, first: number, last: number) => {
    assert(Math.abs(found[0] - first) < 1e-5, `${found[0]}`);
    assert(Math.abs(found.at(-1)! - last) < 1e-5, `${found.at(-1)}`);
  };
  near(draw(64), 0.13323980569839478, 1.1854521036148071);
  // A ragged draw takes a block more.
  near(draw(33), 0.5688964128494263, 1.6221805810928345);
  near(draw(20), -0.8482168316841125, 0.4177989363670349);
});
