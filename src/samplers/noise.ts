/**
 * PyTorch's two generators of normal values, so that a seed gives the same image as in
 * PyTorch: `torch.randn(count, generator=torch.Generator(device).manual_seed(seed))`.
 *
 * The random integers are exactly PyTorch's. Logarithm, sine and cosine are computed in
 * float64 and rounded to float32; PyTorch uses float32 approximations that differ
 * between CPUs and GPUs. Values agree to about 1e-6.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { philox } from "./philox.ts";

/**
 * Standard normal values of PyTorch's CPU generator (mt19937).
 *
 * PyTorch fills 16 values or more in blocks of 16 float32 uniforms, and fewer in pairs
 * in float64. Both are reproduced, so the first values of a short and a long draw
 * differ, as in PyTorch.
 *
 * @param seed −2⁶³..2⁶⁴−1; only the low 32 bits matter, as in PyTorch
 * @param count number of values, in row-major order of the tensor to fill
 * @throws {MasterWeaverError} `bad-option` if the seed or count is out of range
 *
 * @example
 * ```ts
 * import { torchCpuNormal } from "./noise.ts";
 *
 * console.log(torchCpuNormal(0, 8)[0]); // 1.5409960746765137
 * ```
 */
export function torchCpuNormal(
  seed: bigint | number,
  count: number,
): Float32Array {
  return torchCpuNormals(seed)(count);
}

/**
 * Like {@linkcode torchCpuNormal}, for successive draws of one generator. It equals
 * PyTorch for draws of 16 values or more: of a shorter draw with an odd count, PyTorch
 * keeps the last value for the next draw, which is not reproduced.
 *
 * @param seed −2⁶³..2⁶⁴−1; only the low 32 bits matter, as in PyTorch
 * @returns draws `count` values, in row-major order of the tensor to fill
 * @throws {MasterWeaverError} `bad-option` if the seed or count is out of range
 */
export function torchCpuNormals(
  seed: bigint | number,
): (count: number) => Float32Array {
  const random = new MersenneTwister(Number(seedBits(seed) & 0xffffffffn));
  return (count) => drawNormals(random, count);
}

function drawNormals(random: MersenneTwister, count: number): Float32Array {
  checkCount(count);
  const data = new Float32Array(count);
  if (count < BLOCK) {
    fillPairs(random, data);
    return data;
  }
  fillUniform(random, data);
  for (let at = 0; at + BLOCK <= count; at += BLOCK) {
    transformBlock(data.subarray(at, at + BLOCK));
  }
  if (count % BLOCK !== 0) {
    // The last 16 values are drawn again as a block, which overlaps the one before.
    const tail = data.subarray(count - BLOCK);
    fillUniform(random, tail);
    transformBlock(tail);
  }
  return data;
}

/**
 * Standard normal values of PyTorch's CUDA generator (Philox 4×32-10).
 *
 * PyTorch launches as many threads as the GPU's multiprocessors hold. Each thread makes
 * four values at a time, which are stored a launch's number of threads apart. Up to one
 * value per thread, the noise is the same on every GPU; longer noise continues with each
 * thread's second value, and so depends on the GPU's number of threads.
 * `samplers/README.md` has that number for common GPUs, and where to find it for others.
 *
 * @param seed −2⁶³..2⁶⁴−1
 * @param count number of values, in row-major order of the tensor to fill
 * @param draw number of draws of this size that the generator made before
 * @param threads threads of the GPU to reproduce, a multiple of 256; 0 for one with a
 * thread for every value
 * @throws {MasterWeaverError} `bad-option` if seed, count, draw or threads is out of range
 *
 * @example
 * ```ts
 * import { torchCudaNormal } from "./noise.ts";
 *
 * console.log(torchCudaNormal(0, 4)[0].toFixed(4)); // -0.9247
 * ```
 */
export function torchCudaNormal(
  seed: bigint | number,
  count: number,
  draw = 0,
  threads = 0,
): Float32Array {
  if (!Number.isInteger(draw) || draw < 0 || draw > 0xffffffff) {
    throw new MasterWeaverError(
      "bad-option",
      `Draw must be a whole number in 0..4294967295, got ${draw}`,
    );
  }
  checkCount(count);
  checkThreads(threads);
  const { turns } = cudaLaunch(count, threads);
  return cudaNormals(seed, count, draw * turns, threads);
}

/**
 * Like {@linkcode torchCudaNormal}, for successive draws of one generator, which may
 * differ in size.
 *
 * @param seed −2⁶³..2⁶⁴−1
 * @param threads threads of the GPU to reproduce, as above
 * @returns draws `count` values, in row-major order of the tensor to fill
 * @throws {MasterWeaverError} `bad-option` if seed, count or threads is out of range
 */
export function torchCudaNormals(
  seed: bigint | number,
  threads = 0,
): (count: number) => Float32Array {
  checkThreads(threads);
  let calls = 0;
  return (count) => {
    checkCount(count);
    const data = cudaNormals(seed, count, calls, threads);
    calls += cudaLaunch(count, threads).turns;
    return data;
  };
}

/** Threads that PyTorch launches, and how often each of them makes four values. */
function cudaLaunch(count: number, threads: number) {
  // A launch has no more threads than values, rounded up to whole blocks.
  const wanted = Math.ceil(count / CUDA_BLOCK) * CUDA_BLOCK;
  const launched = Math.min(threads || wanted, wanted);
  return { launched, turns: Math.ceil(count / (launched * NORMALS)) };
}

/** @param calls how often each thread of the generator has made four values before */
function cudaNormals(
  seed: bigint | number,
  count: number,
  calls: number,
  threads: number,
): Float32Array {
  const bits = seedBits(seed);
  const key0 = Number(bits & 0xffffffffn);
  const key1 = Number(bits >> 32n);
  const words = new Uint32Array(4);
  const data = new Float32Array(count);
  const { launched, turns } = cudaLaunch(count, threads);
  for (let turn = 0; turn < turns; turn++) {
    const first = turn * launched * NORMALS;
    for (let thread = 0; thread < launched; thread++) {
      if (first + thread >= count) break;
      const call = calls + turn;
      words[0] = call >>> 0;
      words[1] = Math.floor(call / 2 ** 32);
      words[2] = thread;
      words[3] = 0;
      philox(words, key0, key1);
      for (let i = 0; i < NORMALS; i++) {
        const at = first + i * launched + thread;
        if (at < count) data[at] = curandNormal(words, i);
      }
    }
  }
  return data;
}

/**
 * Threads of an RTX 3090. Noise with more values brings a warning that it differs between
 * GPUs; on smaller ones, such as a T4, it differs before that.
 */
export const COMMON_CUDA_THREADS = 125_952;

/** Most threads that a setting may give, which is more than any GPU has. */
export const MAX_CUDA_THREADS = 2 ** 24;

/** The numbers that {@linkcode isCudaThreads} accepts, for messages. */
export const CUDA_THREADS_RANGE =
  `a multiple of 256 in 256..${MAX_CUDA_THREADS}, or 0`;

/** Whether a number of threads is valid; 0 stands for as many as there are values. */
export function isCudaThreads(threads: unknown): boolean {
  return Number.isInteger(threads) && Number(threads) >= 0 &&
    Number(threads) <= MAX_CUDA_THREADS &&
    Number(threads) % CUDA_BLOCK === 0;
}

function checkThreads(threads: number): void {
  if (isCudaThreads(threads)) return;
  throw new MasterWeaverError(
    "bad-option",
    `Threads must be ${CUDA_THREADS_RANGE}, got ${threads}`,
  );
}

/** Threads per block of PyTorch's random-number kernels. */
export const CUDA_BLOCK = 256;
/** Values that cuRAND's `curand_normal4` computes from four random words. */
const NORMALS = 4;

/** One of the four values of `curand_normal4`: sine and cosine from the first two words, then from the other two. */
function curandNormal(words: Uint32Array, i: number): number {
  const pair = i & 2;
  // In (0, 1] and (0, 2π], each rounded as in cuRAND's float32 arithmetic.
  const u = Math.fround(Math.fround(words[pair]) * 2 ** -32 + 2 ** -33);
  const v = Math.fround(Math.fround(words[pair + 1]) * TURN + HALF_TURN);
  const radius = Math.sqrt(-2 * Math.log(u));
  return radius * (i & 1 ? Math.cos(v) : Math.sin(v));
}

const BLOCK = 16;
const TURN = Math.fround(2 * Math.PI * 2 ** -32);
const HALF_TURN = Math.fround(Math.PI * 2 ** -32);
/** 16 GiB of values: a larger count must be a mistake. */
const MAX_COUNT = 2 ** 32;

function checkCount(count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > MAX_COUNT) {
    throw new MasterWeaverError(
      "bad-option",
      `Noise count must be a whole number in 0..${MAX_COUNT}, got ${count}`,
    );
  }
}

/** The seed as PyTorch stores it, in 64 bits; a negative one wraps around. */
function seedBits(seed: bigint | number): bigint {
  const valid = typeof seed === "bigint"
    ? seed >= -(2n ** 63n) && seed < 2n ** 64n
    : Number.isSafeInteger(seed);
  if (!valid) {
    throw new MasterWeaverError(
      "bad-option",
      `Seed must be a whole number in -2^63..2^64-1 (a bigint if above 2^53), got ${seed}`,
    );
  }
  return BigInt.asUintN(64, BigInt(seed));
}

/** Fills with uniforms in [0, 1) of 24 random bits each. */
function fillUniform(random: MersenneTwister, data: Float32Array): void {
  for (let i = 0; i < data.length; i++) {
    data[i] = (random.next() & 0xffffff) / 2 ** 24;
  }
}

/** Box-Muller transform of 16 uniforms: the first half gives radii, the second angles. */
function transformBlock(data: Float32Array): void {
  for (let j = 0; j < BLOCK / 2; j++) {
    const radius = Math.sqrt(-2 * Math.log(1 - data[j]));
    const angle = 2 * Math.PI * data[j + BLOCK / 2];
    data[j] = radius * Math.cos(angle);
    data[j + BLOCK / 2] = radius * Math.sin(angle);
  }
}

/** Box-Muller transform in float64, two values from each pair of uniforms. */
function fillPairs(random: MersenneTwister, data: Float32Array): void {
  for (let i = 0; i < data.length; i += 2) {
    const angle = 2 * Math.PI * uniform53(random);
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53(random)));
    data[i] = radius * Math.cos(angle);
    // With an odd count, the last write is out of range, which typed arrays ignore.
    data[i + 1] = radius * Math.sin(angle);
  }
}

/** A uniform in [0, 1) with 53 random bits: high word first. */
function uniform53(random: MersenneTwister): number {
  const high = random.next() & 0x1fffff;
  const low = random.next();
  return (high * 2 ** 32 + low) / 2 ** 53;
}

/** The 32-bit Mersenne Twister of Matsumoto and Nishimura (1998). */
class MersenneTwister {
  readonly #state = new Uint32Array(624);
  #at = 624;

  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const last = state[i - 1] ^ (state[i - 1] >>> 30);
      state[i] = Math.imul(1812433253, last) + i;
    }
  }

  /** The next 32 random bits. */
  next(): number {
    if (this.#at === 624) this.#refill();
    let bits = this.#state[this.#at++];
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  }

  #refill(): void {
    const state = this.#state;
    for (let i = 0; i < 624; i++) {
      const mixed = (state[i] & 0x80000000) |
        (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (mixed >>> 1) ^
        (mixed & 1 ? 0x9908b0df : 0);
    }
    this.#at = 0;
  }
}
