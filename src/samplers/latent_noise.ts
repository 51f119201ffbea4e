/**
 * The noise that denoising starts with.
 *
 * @module
 */
import {
  COMMON_CUDA_THREADS,
  torchCpuNormal,
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

/**
 * Noise as PyTorch draws it, (B, C, H, W), as (B, H, W, C).
 *
 * @param onWarning told where the noise differs between GPUs and none is named
 * @throws {MasterWeaverError} `bad-option`
 */
export function latentNoise(
  { seed, rng, cudaThreads }: NoiseSettings,
  { images, channels, height, width }: LatentSizes,
  onWarning?: (warning: string) => void,
): Float32Array {
  const pixels = height * width;
  const count = images * channels * pixels;
  const onCuda = rng === "torch-cuda";
  if (onCuda && cudaThreads === 0 && count > COMMON_CUDA_THREADS) {
    onWarning?.(
      `Noise of ${count} numbers differs between GPUs in PyTorch; this is the noise of one with as many threads: ` +
        `give cudaThreads to repeat another's, such as ${COMMON_CUDA_THREADS} for an RTX 3090`,
    );
  }
  const noise = onCuda
    ? torchCudaNormal(seed, count, 0, cudaThreads)
    : torchCpuNormal(seed, count);
  const latents = new Float32Array(count);
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
