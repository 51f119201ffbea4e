/**
 * What diffusers' multistep samplers have in common.
 *
 * @module
 */
import type { LinearPlan } from "./linear_sampler.ts";
import { type Sigmas, wholeLevel } from "./sigmas.ts";

/** Their plan, but for its updates: one run of the UNet a step. */
export function multistepPlan(
  { sigmas, timesteps }: Sigmas,
  drawsNoise: boolean,
): Omit<LinearPlan, "begin"> {
  return {
    initialNoiseScale: 1,
    order: 1,
    entries: timesteps.map((timestep, step) => ({
      timestep,
      step,
      level: wholeLevel(sigmas[step]),
      drawsNoise,
    })),
    finalLevel: wholeLevel(sigmas[timesteps.length]),
  };
}
