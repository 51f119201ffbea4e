/**
 * Linear combinations of the tensors that a sampler's step reads, worked out on the
 * host: samplers are written as in the papers, and what is left is one matrix.
 *
 * @module
 */

/** A linear combination; weights are in the order of {@linkcode Basis}. */
export class LinearForm {
  /** The factor of each tensor. */
  readonly weights: readonly number[];

  /** The combination with these factors. */
  constructor(weights: readonly number[]) {
    this.weights = weights;
  }

  /** The sum of both. */
  plus({ weights }: LinearForm): LinearForm {
    return new LinearForm(this.weights.map((own, i) => own + weights[i]));
  }

  /** This without the other. */
  minus(other: LinearForm): LinearForm {
    return this.plus(other.times(-1));
  }

  /** This times a number. */
  times(factor: number): LinearForm {
    // Not 0 · ∞, where a sampler has no use for a tensor.
    return new LinearForm(
      this.weights.map((own) => own === 0 ? 0 : own * factor),
    );
  }
}

/** The tensors that a step reads. */
export interface Basis {
  /** The latents before the step. */
  readonly latents: LinearForm;
  /** The UNet's output. */
  readonly output: LinearForm;
  /** New noise of variance 1. */
  readonly noise: LinearForm;
  /** What earlier steps kept. */
  readonly history: readonly LinearForm[];
  /** Nothing. */
  readonly zero: LinearForm;
}

/** The tensors of a sampler that keeps so many history tensors. */
export function basisOf(slots: number): Basis {
  const size = 3 + slots;
  const unit = (at: number) =>
    new LinearForm(Array.from({ length: size }, (_, i) => Number(i === at)));
  return {
    latents: unit(0),
    output: unit(1),
    noise: unit(2),
    history: Array.from({ length: slots }, (_, i) => unit(3 + i)),
    zero: unit(-1),
  };
}

/** Factors of forms, added up. */
export function combine(
  ...terms: readonly (readonly [factor: number, form: LinearForm])[]
): LinearForm {
  return terms.map(([factor, form]) => form.times(factor))
    .reduce((sum, term) => sum.plus(term));
}
