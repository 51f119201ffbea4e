/**
 * The noise that denoising starts with, and that some samplers add on the way.
 *
 * @module
 */
import {
  COMMON_CUDA_THREADS,
  torchCpuNormals,
  torchCudaNormal,
} from "./noise.ts";

/** Whose noise it is. */
export interface NoiseSettings {
  /** A whole number from −2⁶³ to 2⁶⁴ − 1. */
  readonly seed: number | bigint;
  /** Which of PyTorch's generators draws it. */
  readonly rng: "torch-cuda" | "torch-cpu";
  /** Threads of the GPU; 0: enough for all numbers. */
  readonly cudaThreads: number;
}

/** Sizes of latents. */
export interface LatentSizes {
  /** Images. */
  readonly images: number;
  /** Channels. */
  readonly channels: number;
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/** Draws noise of variance 1 anew at every call: (B, h, w, C). */
export type NoiseSource = () => Float32Array;

/**
 * Noise as PyTorch draws it, (B, C, h, w), one draw after the other of a
 * generator that is seeded once.
 *
 * @param onWarning told where the noise differs between GPUs and none is named
 * @returns gives each draw as (B, h, w, C)
 * @throws {MasterWeaverError} `bad-option`
 */
export function noiseSource(
  { seed, rng, cudaThreads }: NoiseSettings,
  sizes: LatentSizes,
  onWarning?: (warning: string) => void,
): NoiseSource {
  const { images, channels, height, width } = sizes;
  const count = images * channels * height * width;
  const onCuda = rng === "torch-cuda";
  if (onCuda && cudaThreads === 0 && count > COMMON_CUDA_THREADS) {
    onWarning?.(
      `Noise of ${count} numbers differs between GPUs in PyTorch; this is the noise of one with as many threads: ` +
        `give cudaThreads to repeat another's, such as ${COMMON_CUDA_THREADS} for an RTX 3090`,
    );
  }
  if (onCuda) {
    let draw = 0;
    return () =>
      channelsLast(torchCudaNormal(seed, count, draw++, cudaThreads), sizes);
  }
  const draw = torchCpuNormals(seed);
  return () => channelsLast(draw(count), sizes);
}

/**
 * The first draw of {@linkcode noiseSource}.
 *
 * @throws {MasterWeaverError} `bad-option`
 */
export function latentNoise(
  settings: NoiseSettings,
  sizes: LatentSizes,
  onWarning?: (warning: string) => void,
): Float32Array {
  return noiseSource(settings, sizes, onWarning)();
}

/** (B, C, h, w) as (B, h, w, C). */
function channelsLast(
  noise: Float32Array,
  { images, channels, height, width }: LatentSizes,
): Float32Array {
  const pixels = height * width;
  const latents = new Float32Array(noise.length);
  for (let b = 0; b < images; b++) {
    for (let c = 0; c < channels; c++) {
      const plane = (b * channels + c) * pixels;
      for (let i = 0; i < pixels; i++) {
        latents[(b * pixels + i) * channels + c] = noise[plane + i];
      }
    }
  }
  return latents;
}
