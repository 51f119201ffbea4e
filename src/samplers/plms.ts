/**
 * PLMS, Adams and Bashforth's method for the noise: diffusers' `PNDMScheduler` with
 * `skip_prk_steps`.
 *
 * @module
 */
import type { DdimConfig } from "./ddim_config.ts";
import { type Basis, combine, type LinearForm } from "./linear_form.ts";
import { type LinearEntry, linearSampler } from "./linear_sampler.ts";
import { alphasCumprod, spacedTimesteps } from "./noise_levels.ts";
import { predictedNoise } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import { levelOf } from "./ddim.ts";
import { checkSteps } from "./sigmas.ts";

/** Weights of the noises, newest first, by how many there are. */
const ADAMS: readonly (readonly number[])[] = [
  [],
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
];

/** PLMS, whose first step runs the UNet twice. */
export function plmsSampler(name: string, config: DdimConfig): Sampler {
  const { trainSteps, prediction, setAlphaToOne } = config;
  const alphas = alphasCumprod({ ...config, zeroTerminalSnr: false });
  const alphaAt = (timestep: number) =>
    timestep >= 0 ? alphas[timestep] : setAlphaToOne ? 1 : alphas[0];
  return linearSampler({
    name,
    // Three earlier outputs, and the latents before the first step.
    slots: 4,
    scalesInput: false,
    drawsNoise: false,
    plan(count) {
      checkSteps(count, trainSteps);
      const stride = Math.floor(trainSteps / count);
      const planned = spacedTimesteps(config, count);
      const once = Array.from(planned, (t) => Math.min(t, trainSteps - 1));
      const entries = once.flatMap((timestep, step): LinearEntry[] => {
        const level = levelOf(alphas[timestep]);
        const entry = { timestep, step, level };
        // The second run is where the first step leads to.
        return step === 1 ? [{ ...entry, step: 0 }, entry] : [entry];
      });
      const lastTimestep = once[count - 1] - stride;
      return {
        initialNoiseScale: 1,
        order: 1,
        entries,
        finalLevel: levelOf(alphaAt(lastTimestep)),
        begin: (first) => (entry, basis) => {
          const { timestep } = entries[entry];
          const number = entry - first;
          // The second run goes back to where the first one began.
          const from = number === 1 ? timestep + stride : timestep;
          const { output, keeps, latents } = outputs(number, basis);
          const [before, after] = [from, from - stride].map(alphaAt);
          const level = levelOf(before);
          const noise = predictedNoise(prediction, level, { latents, output });
          return {
            latents: step(latents, noise, before, after),
            history: [...keeps, latents],
          };
        },
      };
    },
  });
}

/** What a run steps with: its outputs in Adams and Bashforth's mean, from which latents, and what it keeps. */
function outputs(
  number: number,
  { latents, output, history }: Basis,
): {
  readonly output: LinearForm;
  readonly keeps: readonly LinearForm[];
  readonly latents: LinearForm;
} {
  const earlier = history.slice(0, 3);
  if (number === 1) {
    return {
      output: combine([0.5, output], [0.5, earlier[0]]),
      keeps: earlier,
      latents: history[3],
    };
  }
  // The second run is not one of the outputs that later ones use.
  const known = Math.min(number === 0 ? 1 : number, 4);
  const all = [output, ...earlier];
  const terms = ADAMS[known].map((weight, i) => [weight, all[i]] as const);
  return { output: combine(...terms), keeps: all.slice(0, 3), latents };
}

/** A step of DDIM in diffusers' form for PLMS. */
function step(
  latents: LinearForm,
  noise: LinearForm,
  alpha: number,
  alphaPrev: number,
): LinearForm {
  const divisor = alpha * Math.sqrt(1 - alphaPrev) +
    Math.sqrt(alpha * (1 - alpha) * alphaPrev);
  return combine(
    [Math.sqrt(alphaPrev / alpha), latents],
    [-(alphaPrev - alpha) / divisor, noise],
  );
}
