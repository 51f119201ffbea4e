/**
 * The schedule of Sabour et al., "Align Your Steps" (2024), for Stable Diffusion 1.5.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { TrainingSigmas } from "./training_sigmas.ts";

/** Of ten steps: `AysSchedules["StableDiffusionTimesteps"]` of diffusers. */
const TEN = [999, 850, 736, 645, 545, 455, 343, 233, 124, 24];

/** The paper's σ of ten steps and of the end, from which others are interpolated. */
const SIGMAS = [
  14.615,
  6.475,
  3.861,
  2.697,
  1.886,
  1.396,
  0.963,
  0.652,
  0.399,
  0.152,
  0.029,
];

/**
 * Timesteps of any number of steps: log σ is linear between the paper's ten, as
 * ComfyUI interpolates it.
 *
 * @throws {MasterWeaverError} `bad-option` for so many steps that two are the same
 */
export function alignedTimesteps(
  training: Pick<TrainingSigmas, "timestepOf">,
  steps: number,
): number[] {
  if (steps === TEN.length) return [...TEN];
  const timesteps = Array.from({ length: steps }, (_, i) => {
    const at = i / steps * (SIGMAS.length - 1);
    const low = Math.floor(at);
    const from = Math.log(SIGMAS[low]);
    const to = Math.log(SIGMAS[Math.min(low + 1, SIGMAS.length - 1)]);
    const sigma = Math.exp(from + (to - from) * (at - low));
    return Math.round(training.timestepOf(sigma));
  });
  const same = timesteps.findIndex((t, i) => i > 0 && t >= timesteps[i - 1]);
  if (same < 0) return timesteps;
  throw new MasterWeaverError(
    "bad-option",
    `Steps of the schedule Align Your Steps must be so few that no timestep comes twice, got ${steps}: ${
      timesteps[same]
    } would`,
  );
}
