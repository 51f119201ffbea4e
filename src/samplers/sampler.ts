/**
 * What a sampler is: the levels of noise that latents pass through, and how a
 * step leads from one to the next. The denoising loop knows no sampler by name.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import type { TensorSpec } from "../ops/op.ts";

/** How much of the image and of the noise latents hold: `image · x0 + noise · ε`. */
export interface NoiseLevel {
  /** What the image is multiplied with. */
  readonly image: number;
  /** What noise of variance 1 is multiplied with. */
  readonly noise: number;
}

/** One step, as the host knows it. */
export interface SamplerStep {
  /** For the UNet's time embedding; need not be whole. */
  readonly timestep: number;
  /** What the latents hold before the step. */
  readonly level: NoiseLevel;
  /** What the step's nodes read as {@linkcode StepTensors.coefficients}. */
  readonly coefficients: readonly number[];
}

/** The plan of a whole run. */
export interface SamplerSchedule {
  /** What noise of variance 1 is multiplied with where a run starts with it alone. */
  readonly initialNoiseScale: number;
  /** Its steps, most noise first. */
  readonly steps: readonly SamplerStep[];
}

/** What the update of a step is computed from; all f32, B images of (h, w, C). */
export interface StepTensors {
  /** (B, h, w, C), before the step */
  readonly latents: Tensor;
  /** (B, h, w, C), after guidance */
  readonly predictedNoise: Tensor;
  /** (N), the step's own numbers */
  readonly coefficients: Tensor;
  /** (B, h, w, C) of variance 1, where the sampler {@linkcode Sampler.drawsNoise}. */
  readonly noise?: Tensor;
  /** What {@linkcode StepUpdate.state} was at the step before; zeros at the first. */
  readonly state: Readonly<Record<string, Tensor>>;
}

/** What a step makes. */
export interface StepUpdate {
  /** (B, h, w, C), less noisy */
  readonly latents: Tensor;
  /** For the next step, each as its spec says; all that {@linkcode Sampler.state} names. */
  readonly state?: Readonly<Record<string, Tensor>>;
}

/**
 * A sampler.
 *
 * Everything of a step that is as large as the latents is computed on the GPU,
 * by nodes that are the same at every step; what differs from step to step are
 * a few numbers, the coefficients. A sampler of several orders gives its first
 * steps the coefficients of a lower one: zeros for a history that is not there.
 */
export interface Sampler {
  /** One name, one set of nodes: what they depend on is a part of it. */
  readonly name: string;
  /** How many coefficients a step has, 1 or more. */
  readonly coefficients: number;
  /** Whether each step takes noise of its own. */
  readonly drawsNoise: boolean;

  /**
   * Plans a run.
   *
   * @throws {MasterWeaverError} `bad-option` where so many steps cannot be made
   */
  schedule(steps: number): SamplerSchedule;

  /**
   * What is kept on the GPU from step to step, by name; nothing where not given.
   *
   * @param latents (B, h, w, C) f32
   */
  state?(latents: TensorSpec): Readonly<Record<string, TensorSpec>>;

  /**
   * Latents as the UNet takes them, of variance 1; as they are where not given.
   *
   * @param latents (B, h, w, C) f32
   * @param coefficients (N) f32
   * @returns (B, h, w, C) f32
   */
  scaleInput?(latents: Tensor, coefficients: Tensor): Tensor;

  /** Adds the nodes of a step to the graph of its tensors. */
  update(step: StepTensors): StepUpdate;
}
