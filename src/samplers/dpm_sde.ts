/**
 * DPM-Solver++ with noise and a middle step: diffusers' `DPMSolverSDEScheduler`, and
 * k-diffusion's `sample_dpmpp_sde`.
 *
 * @module
 */
import { BrownianTree } from "./brownian.ts";
import { ancestral } from "./euler.ts";
import { type Basis, combine, type LinearForm } from "./linear_form.ts";
import { linearSampler } from "./linear_sampler.ts";
import { cleanImageAt } from "./predictions.ts";
import type { Sampler } from "./sampler.ts";
import { freeSigmas, type SigmaSamplerOptions } from "./sigmas.ts";
import { TrainingSigmas } from "./training_sigmas.ts";
import { secondAt, twicePerStep } from "./two_call.ts";

const f = Math.fround;

/**
 * DPM-Solver++ (SDE).
 *
 * Its noise is a Brownian motion over σ, which has a seed of its own in diffusers:
 * `noise_sampler_seed`, or PyTorch's global one.
 *
 * @param eta share of the noise that is added, 1 for all of it
 * @param noiseSeed seed of the motion; the run's where not given
 */
export function dpmppSdeSampler(
  { name, noise: { prediction }, noise, rule, eta, noiseSeed }:
    & SigmaSamplerOptions
    & { readonly eta: number; readonly noiseSeed?: number },
): Sampler {
  const training = new TrainingSigmas(noise, false);
  return linearSampler({
    name,
    slots: 1,
    scalesInput: true,
    drawsNoise: true,
    plan(count) {
      const levels = freeSigmas(training, rule, count, { isExact: true });
      const { sigmas } = levels;
      const middle = (step: number) =>
        Math.sqrt(sigmas[step] * sigmas[step + 1]);
      /** From latents at σ to a lower one, towards the clean image. */
      const towards = (
        from: number,
        to: number,
        latents: LinearForm,
        clean: LinearForm,
        basis: Basis,
      ) => {
        const { down, up } = ancestral(from, to, eta);
        const kept = down / from;
        return combine([kept, latents], [1 - kept, clean], [up, basis.noise]);
      };
      const plan = twicePerStep(levels, rule, {
        secondOriginalIsNext: true,
        firstDraws: true,
        secondDraws: true,
        second: secondAt(training, middle),
        first(step, basis) {
          const { latents } = basis;
          const clean = cleanImageAt(prediction, sigmas[step], basis);
          return {
            latents: towards(sigmas[step], middle(step), latents, clean, basis),
            history: [latents],
          };
        },
        then(step, basis) {
          const [before] = basis.history;
          const [from, to] = [sigmas[step], sigmas[step + 1]];
          const clean = cleanImageAt(prediction, middle(step), basis);
          return { latents: towards(from, to, before, clean, basis) };
        },
      });
      return {
        ...plan,
        stepNoise(settings, sizes) {
          const seed = noiseSeed ?? settings.seed;
          const least = sigmas[count - 1];
          const tree = new BrownianTree(
            { ...settings, seed },
            sizes,
            least,
            sigmas[0],
          );
          return (entry) => {
            const step = Math.floor(entry / 2);
            const [from, to] = noiseTimes(sigmas[step], sigmas[step + 1]);
            const [, middle] = noiseTimes(sigmas[step], sigmas[step + 1], 0.5);
            return tree.noise(from, entry % 2 === 0 ? middle : to);
          };
        },
      };
    },
  });
}

/**
 * Where the motion is asked for, in PyTorch's float32 steps: σ itself, but through its
 * logarithm and back, whose rounding shows, as the motion rounds its times, too.
 */
function noiseTimes(
  from: number,
  to: number,
  share = 1,
): [from: number, to: number] {
  const start = -f(Math.log(from));
  const end = -f(Math.log(to));
  const there = share === 1 ? end : f(start + f(f(end - start) * share));
  return [f(Math.exp(-start)), f(Math.exp(-there))];
}
