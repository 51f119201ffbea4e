/**
 * The interface of samplers: the noise levels that latents pass through, and how a
 * step leads from one to the next. The denoising loop knows no particular sampler.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import type { TensorSpec } from "../ops/op.ts";
import type { LatentSizes, NoiseSettings } from "./latent_noise.ts";

/** A noise level: latents are `image · x0 + noise · ε`. */
export interface NoiseLevel {
  /** Factor of the clean image's latents x0. */
  readonly image: number;
  /** Factor of noise ε of variance 1. */
  readonly noise: number;
}

/** One step of a schedule, on the host: one run of the UNet. */
export interface SamplerStep {
  /** For the UNet's time embedding; need not be a whole number. */
  readonly timestep: number;
  /** Noise level of the latents before the step. */
  readonly level: NoiseLevel;
  /**
   * Level of the noise that an original gets outside a mask before the step, where
   * diffusers' `add_noise` gives another than that of the latents.
   */
  readonly originalLevel?: NoiseLevel;
  /** Values of {@linkcode StepTensors.coefficients} at this step. */
  readonly coefficients: readonly number[];
  /**
   * Which of the steps that were asked for it belongs to, from 0: some samplers run the
   * UNet twice in a step. Its own number where not given.
   */
  readonly step?: number;
  /** Whether it draws noise; as the sampler {@linkcode Sampler.drawsNoise} where not given. */
  readonly drawsNoise?: boolean;
}

/** The steps of a run. */
export interface SamplerSchedule {
  /**
   * Factor of noise of variance 1 in a run that starts from pure noise: what diffusers
   * calls `init_noise_sigma`, the first σ or √(1 + σ²), whichever that sampler has.
   */
  readonly initialNoiseScale: number;
  /** The steps, most noise first. */
  readonly steps: readonly SamplerStep[];
  /** Noise level of the latents after the last step; some samplers leave a little noise. */
  readonly finalLevel: NoiseLevel;
  /**
   * How many of {@linkcode steps} a start from an image skips for each step that it
   * leaves out, as diffusers' `scheduler.order` says; 1 where not given.
   */
  readonly order?: number;
  /** Makes the noise of steps where it is not the next that the run's generator draws. */
  stepNoise?(settings: NoiseSettings, sizes: LatentSizes): StepNoise;
}

/** The noise of a step of a schedule, by its number: (B, h, w, C) of variance 1. */
export type StepNoise = (step: number) => Float32Array;

/** Inputs of a step's update, all f32, for B images of (h, w, C). */
export interface StepTensors {
  /** (B, h, w, C), before the step */
  readonly latents: Tensor;
  /** (B, h, w, C), the UNet's output after guidance: noise, or velocity where the model predicts that */
  readonly modelOutput: Tensor;
  /** (N), the step's coefficients */
  readonly coefficients: Tensor;
  /** (B, h, w, C), new noise of variance 1, if the sampler {@linkcode Sampler.drawsNoise} */
  readonly noise?: Tensor;
  /** {@linkcode StepUpdate.state} of the previous step; zeros at the first. */
  readonly state: Readonly<Record<string, Tensor>>;
}

/** Outputs of a step's update. */
export interface StepUpdate {
  /** (B, h, w, C), after the step */
  readonly latents: Tensor;
  /** State for the next step: every tensor that {@linkcode Sampler.state} names, with its spec. */
  readonly state?: Readonly<Record<string, Tensor>>;
}

/**
 * A sampler.
 *
 * Whatever is as large as the latents is computed on the GPU, by nodes that are the
 * same at every step; only a few numbers, the coefficients, differ between steps. A
 * multistep sampler therefore gives its first steps lower-order coefficients, with
 * zeros for history that does not exist yet.
 */
export interface Sampler {
  /** Identifies its nodes: whatever they depend on must be part of the name. */
  readonly name: string;
  /** N, the number of coefficients per step, 1 or more. */
  readonly coefficients: number;
  /** Whether any step adds new noise. */
  readonly drawsNoise: boolean;

  /**
   * The schedule of a run.
   *
   * @param steps number of steps that are asked for
   * @param first number of the first of {@linkcode SamplerSchedule.steps} that is run,
   * which has no history; those before it are not used. 0 where not given.
   * @throws {MasterWeaverError} `bad-option` if it does not support this number of steps
   */
  schedule(steps: number, first?: number): SamplerSchedule;

  /**
   * Specs of the tensors that it keeps on the GPU from step to step, by name; none by
   * default.
   *
   * @param latents (B, h, w, C) f32
   */
  state?(latents: TensorSpec): Readonly<Record<string, TensorSpec>>;

  /**
   * Scales latents to the variance of 1 that the UNet expects; unchanged by default.
   *
   * @param latents (B, h, w, C) f32
   * @param coefficients (N) f32
   * @returns (B, h, w, C) f32
   */
  scaleInput?(latents: Tensor, coefficients: Tensor): Tensor;

  /** Adds the nodes of a step's update to the graph. */
  update(step: StepTensors): StepUpdate;
}
