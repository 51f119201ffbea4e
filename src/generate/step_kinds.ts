/**
 * Which work each step of an image does, where a caller allows less than all.
 *
 * @module
 */

/** What decides the work of the steps; the settings of the same names. */
export interface StepRules {
  /** Denoising steps. */
  readonly steps: number;
  /** 1 or less: no step is guided. */
  readonly guidanceScale: number;
  /** From which fraction of the steps to which they are guided. */
  readonly guidanceRange: readonly [from: number, to: number];
  /** Every so many steps the whole UNet runs; 1: at every step. */
  readonly reuseFeatures: number;
}

/** The work of one step. */
export interface StepKind {
  /** Whether both halves of guidance are computed. */
  readonly guided: boolean;
  /** Whether cached features of an earlier step are used, not computed. */
  readonly cached: boolean;
}

/**
 * The work of every step.
 *
 * Guided are the steps from number `from · steps` to the one before
 * `to · steps`, both rounded. Features are computed and cached at the first step,
 * then every `reuseFeatures` steps, and where guidance sets in, whose
 * unconditional half no earlier step has.
 *
 * @example
 * ```ts
 * import { stepKinds, stepName } from "./step_kinds.ts";
 *
 * const names = stepKinds({
 *   steps: 4,
 *   guidanceScale: 5,
 *   guidanceRange: [0, 0.5],
 *   reuseFeatures: 3,
 * }).map(stepName);
 * console.log(names); // [ "guided", "guided, cached", "conditional, cached", "conditional" ]
 * ```
 */
export function stepKinds(
  { steps, guidanceScale, guidanceRange: [from, to], reuseFeatures }: StepRules,
): StepKind[] {
  const first = Math.round(from * steps);
  const end = Math.round(to * steps);
  let whole: { readonly step: number; readonly guided: boolean } | null = null;
  return Array.from({ length: steps }, (_, step) => {
    const guided = guidanceScale > 1 && step >= first && step < end;
    const cached = whole !== null && step - whole.step < reuseFeatures &&
      (whole.guided || !guided);
    if (!cached) whole = { step, guided };
    return { guided, cached };
  });
}

/** What a kind of step is called; one name, one plan. */
export function stepName({ guided, cached }: StepKind): string {
  return `${guided ? "guided" : "conditional"}${cached ? ", cached" : ""}`;
}
