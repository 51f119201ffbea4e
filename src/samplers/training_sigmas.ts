/**
 * The noise levels that a model was trained with as σ, and the timesteps between them.
 *
 * @module
 */
import { alphasCumprod, type TrainingNoise } from "./noise_levels.ts";

const f = Math.fround;

/** The levels that a model was trained with. */
export class TrainingSigmas {
  /** σ by timestep, rising. */
  readonly sigmas: Float32Array;
  readonly #logs: Float32Array;

  /**
   * The levels.
   *
   * @param knowsZeroSnr whether the sampler, in diffusers, rescales betas where the
   * model says so; others pass over that
   */
  constructor(noise: TrainingNoise, knowsZeroSnr: boolean) {
    const zeroTerminalSnr = noise.zeroTerminalSnr && knowsZeroSnr;
    const alphas = alphasCumprod({ ...noise, zeroTerminalSnr });
    // As diffusers: no image at all would be an infinite σ.
    if (zeroTerminalSnr) alphas[alphas.length - 1] = 2 ** -24;
    this.sigmas = alphas.map((alpha) => Math.sqrt(f(f(1 - alpha) / alpha)));
    this.#logs = this.sigmas.map(Math.log);
  }

  /** `numpy.interp` of σ at a timestep between two. */
  at(timestep: number): number {
    const { sigmas } = this;
    const low = Math.floor(timestep);
    if (low >= sigmas.length - 1) return sigmas[sigmas.length - 1];
    return (sigmas[low + 1] - sigmas[low]) * (timestep - low) + sigmas[low];
  }

  /** The timestep of a σ, between two of the model's where need be; diffusers' `_sigma_to_t`. */
  timestepOf(sigma: number): number {
    const logs = this.#logs;
    const log = Math.log(Math.max(sigma, 1e-10));
    let low = 0;
    while (low < logs.length - 2 && logs[low + 1] <= log) low++;
    const share = (logs[low] - log) / f(logs[low] - logs[low + 1]);
    return low + Math.min(Math.max(share, 0), 1);
  }
}
