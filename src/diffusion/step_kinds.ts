/**
 * Which work each step of a picture does, where a caller allows less than all.
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
}

/** The work of one step. */
export interface StepKind {
  /** Whether both halves of guidance are computed. */
  readonly guided: boolean;
}

/**
 * The work of every step.
 *
 * Guided are the steps from number `from · steps` to the one before
 * `to · steps`, both rounded.
 *
 * @example
 * ```ts
 * import { stepKinds } from "./step_kinds.ts";
 *
 * const rules = { steps: 4, guidanceScale: 5, guidanceRange: [0, 0.5] } as const;
 * console.log(stepKinds(rules).map(({ guided }) => guided)); // [ true, true, false, false ]
 * ```
 */
export function stepKinds(
  { steps, guidanceScale, guidanceRange: [from, to] }: StepRules,
): StepKind[] {
  const first = Math.round(from * steps);
  const end = Math.round(to * steps);
  return Array.from({ length: steps }, (_, i) => ({
    guided: guidanceScale > 1 && i >= first && i < end,
  }));
}

/** What a kind of step is called; one name, one plan. */
export function stepName({ guided }: StepKind): string {
  return guided ? "guided" : "conditional";
}
