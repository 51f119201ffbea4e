/**
 * Samplers whose step is a linear combination of latents, the UNet's output, noise and
 * what earlier steps kept: all of diffusers' are. Their numbers are computed on the
 * host; the GPU multiplies by one small matrix.
 *
 * @module
 */
import { binary } from "../ops/binary.ts";
import { ddimStep } from "../ops/ddim_step.ts";
import { linearStep, matrixSize } from "../ops/linear_step.ts";
import { view } from "../ops/view.ts";
import type { LatentSizes, NoiseSettings } from "./latent_noise.ts";
import { type Basis, basisOf, type LinearForm } from "./linear_form.ts";
import type { NoiseLevel, Sampler, StepNoise } from "./sampler.ts";

/** What one run of the UNet leads to. */
export interface LinearUpdate {
  /** The latents after it. */
  readonly latents: LinearForm;
  /** What is kept for the next ones: as many as the sampler has slots. */
  readonly history?: readonly LinearForm[];
}

/** One run of the UNet, of which a step of some samplers has two. */
export interface LinearEntry {
  /** For the UNet's time embedding. */
  readonly timestep: number;
  /** Noise level of the latents before it. */
  readonly level: NoiseLevel;
  /** That of the original outside a mask; the same where not given. */
  readonly originalLevel?: NoiseLevel;
  /** Factor of the latents that the UNet reads; 1 where not given. */
  readonly inputScale?: number;
  /** Number of the step it belongs to. */
  readonly step: number;
  /** Whether it adds noise; not where not given. */
  readonly drawsNoise?: boolean;
}

/** The runs of the UNet of a number of steps. */
export interface LinearPlan {
  /** Factor of the noise that a run starts from. */
  readonly initialNoiseScale: number;
  /** Runs of the UNet that an image's start skips with each of its steps: 1 or 2. */
  readonly order: number;
  /** Every run of the UNet, most noise first. */
  readonly entries: readonly LinearEntry[];
  /** Noise level at the end. */
  readonly finalLevel: NoiseLevel;
  /**
   * Begins a run.
   *
   * @param first number of its first entry
   * @returns gives the update of every entry from the first on, in order
   */
  begin(first: number): (entry: number, basis: Basis) => LinearUpdate;
  /** Noise other than the generator's next, as {@linkcode Sampler} says. */
  stepNoise?(settings: NoiseSettings, sizes: LatentSizes): StepNoise;
}

/** What distinguishes a linear sampler. */
export interface LinearSamplerOptions {
  /**
   * As AUTOMATIC1111 calls it. For one model it must decide the options below, on which
   * the nodes depend.
   */
  readonly name: string;
  /** Tensors that it keeps from step to step, 0..4. */
  readonly slots: number;
  /** Whether the UNet reads scaled latents. */
  readonly scalesInput: boolean;
  /** Whether any step adds noise. */
  readonly drawsNoise: boolean;
  /**
   * Its runs of the UNet.
   *
   * @throws {MasterWeaverError} `bad-option` if it does not support this number of steps
   */
  plan(steps: number): LinearPlan;
}

/** A linear sampler. */
export function linearSampler(options: LinearSamplerOptions): Sampler {
  const { name, slots, scalesInput, drawsNoise, plan } = options;
  const isSimple = slots === 0 && !drawsNoise;
  // An output of an op cannot be absent: noise without history has a slot of zeros.
  const kept = isSimple ? 0 : Math.max(1, slots);
  const numbers = isSimple ? 2 : matrixSize(kept);
  const coefficients = numbers + Number(scalesInput);
  return {
    name,
    coefficients,
    drawsNoise,

    schedule(count, first = 0) {
      const { entries, begin, ...rest } = plan(count);
      const update = begin(first);
      const basis = basisOf(kept);
      const steps = entries.map((entry, i) => {
        const { timestep, level, originalLevel, inputScale = 1, step } = entry;
        const matrix = i < first
          ? new Array<number>(numbers).fill(0)
          : matrixOf(update(i, basis), basis, isSimple);
        return {
          timestep,
          level,
          ...originalLevel && { originalLevel },
          step,
          drawsNoise: entry.drawsNoise ?? false,
          coefficients: scalesInput ? [...matrix, inputScale] : matrix,
        };
      });
      return { ...rest, steps };
    },

    ...!isSimple && {
      state: (latents) => ({
        history: { ...latents, shape: [kept, ...latents.shape] },
      }),
    },

    ...scalesInput && {
      scaleInput(latents, coefficients) {
        const g = latents.graph;
        const b = g.apply(view, { x: coefficients }, {
          shape: [1],
          strides: [1],
          offset: numbers,
        });
        return g.apply(binary, { a: latents, b }, { operation: "mul" });
      },
    },

    update({ latents, modelOutput, coefficients, noise, state }) {
      const g = latents.graph;
      if (isSimple) {
        const pair = scalesInput
          ? g.apply(view, { x: coefficients }, { shape: [2], strides: [1] })
          : coefficients;
        return {
          latents: g.apply(ddimStep, {
            latents,
            predictedNoise: modelOutput,
            coefficients: pair,
          }, {}),
        };
      }
      const { output, history } = g.applyAll(linearStep, {
        latents,
        modelOutput,
        noise,
        history: state.history,
        coefficients,
      }, {});
      return { latents: output, state: { history } };
    },
  };
}

/** The matrix of an update, row by row; without noise and history, the two numbers that are used. */
function matrixOf(
  { latents, history = [] }: LinearUpdate,
  { history: slots, zero }: Basis,
  isSimple: boolean,
): number[] {
  if (isSimple) return latents.weights.slice(0, 2);
  const kept = slots.map((_, i) => history[i] ?? zero);
  return [latents, ...kept].flatMap(({ weights }) => weights);
}
