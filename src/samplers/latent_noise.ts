/**
 * Draws the noise that denoising starts from, and that some samplers add at each step.
 *
 * @module
 */
import {
  COMMON_CUDA_THREADS,
  torchCpuNormals,
  torchCudaNormals,
} from "./noise.ts";

/** Which noise to draw. */
export interface NoiseSettings {
  /** A whole number from −2⁶³ to 2⁶⁴ − 1. */
  readonly seed: number | bigint;
  /** Which of PyTorch's generators to reproduce. */
  readonly rng: "torch-cuda" | "torch-cpu";
  /** Threads of the GPU to reproduce; 0 for one with a thread for every value. */
  readonly cudaThreads: number;
}

/** Sizes of latents. */
export interface LatentSizes {
  /** B, the number of images. */
  readonly images: number;
  /** C, the channels. */
  readonly channels: number;
  /** h, the rows. */
  readonly height: number;
  /** w, the columns. */
  readonly width: number;
}

/**
 * Draws new noise of variance 1 at every call: (B, h, w, C).
 *
 * @param images B; those of the run where not given
 */
export type NoiseSource = (images?: number) => Float32Array;

/**
 * Successive draws of one of PyTorch's generators, seeded once. PyTorch draws
 * (B, C, h, w).
 *
 * @param onWarning receives a warning if no GPU is chosen for noise of more than
 * {@linkcode COMMON_CUDA_THREADS} numbers
 * @returns returns each draw as (B, h, w, C)
 * @throws {MasterWeaverError} `bad-option`
 */
export function noiseSource(
  { seed, rng, cudaThreads }: NoiseSettings,
  sizes: LatentSizes,
  onWarning?: (warning: string) => void,
): NoiseSource {
  const { channels, height, width } = sizes;
  const count = sizes.images * channels * height * width;
  const onCuda = rng === "torch-cuda";
  if (onCuda && cudaThreads === 0 && count > COMMON_CUDA_THREADS) {
    onWarning?.(
      `Noise of ${count} numbers differs between GPUs in PyTorch; this is the noise of a GPU with at least as many threads: ` +
        `give cudaThreads to repeat another GPU's, such as ${COMMON_CUDA_THREADS} for an RTX 3090`,
    );
  }
  const draw = onCuda
    ? torchCudaNormals(seed, cudaThreads)
    : torchCpuNormals(seed);
  const perImage = channels * height * width;
  return (images = sizes.images) =>
    channelsLast(draw(images * perImage), { ...sizes, images });
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

/** (B, C, h, w) → (B, h, w, C). */
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
