/**
 * Decides for each step whether it is guided and whether it reuses cached features.
 *
 * @module
 */

/** What decides the kinds of steps; see the settings of the same names. */
export interface StepRules {
  /** Number of denoising steps. */
  readonly steps: number;
  /** No step is guided if this is 1 or less. */
  readonly guidanceScale: number;
  /** The fractions of the steps between which they are guided. */
  readonly guidanceRange: readonly [from: number, to: number];
  /** The whole UNet runs every this many steps; 1 means at every step. */
  readonly reuseFeatures: number;
  /** When each ControlNet runs; none by default. */
  readonly controls?: readonly ControlRange[];
}

/** The fractions of the steps between which a ControlNet runs. */
export interface ControlRange {
  /** The first fraction, 0..1. */
  readonly start: number;
  /** The last fraction, 0..1. */
  readonly end: number;
}

/** What one step computes. */
export interface StepKind {
  /** Whether it computes both halves of guidance. */
  readonly guided: boolean;
  /** Whether it uses the cached features of an earlier step instead of computing them. */
  readonly cached: boolean;
  /** Numbers of the ControlNets that run; absent where none does. */
  readonly controls?: readonly number[];
}

/**
 * Whether a ControlNet runs with a run of the UNet: where the whole run lies within
 * its range, as diffusers' `control_guidance_start` and `control_guidance_end` say,
 * which also count the runs where a sampler has two a step.
 */
export function isActive(
  { start, end }: ControlRange,
  run: number,
  runs: number,
): boolean {
  return run / runs >= start && (run + 1) / runs <= end;
}

/**
 * The kind of every step, or of every run of the UNet where steps have several.
 *
 * Steps `from · steps` to `to · steps` − 1 are guided, with both products rounded.
 * Features are computed and cached at the first step, then every `reuseFeatures`
 * runs of the UNet, and where guidance begins, as no earlier one has its unconditional
 * half; and wherever other ControlNets run than before, whose work is in the features.
 *
 * @param runs the number of the step that each run of the UNet belongs to; one a step
 * where not given
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
  { steps, guidanceScale, guidanceRange: [from, to], ...rules }: StepRules,
  runs: readonly number[] = Array.from({ length: steps }, (_, step) => step),
): StepKind[] {
  const { reuseFeatures, controls = [] } = rules;
  const first = Math.round(from * steps);
  const end = Math.round(to * steps);
  let source: StepKind & { readonly run: number } | null = null;
  return runs.map((step, run) => {
    const guided = guidanceScale > 1 && step >= first && step < end;
    const active = controls.flatMap((range, i) =>
      isActive(range, run, runs.length) ? [i] : []
    );
    const cached = source !== null && run - source.run < reuseFeatures &&
      (source.guided || !guided) && `${source.controls ?? []}` === `${active}`;
    const kind: StepKind = {
      guided,
      cached,
      ...active.length > 0 && { controls: active },
    };
    if (!cached) source = { ...kind, run };
    return kind;
  });
}

/** The name of a kind of step, and of its plan. */
export function stepName({ guided, cached, controls }: StepKind): string {
  return `${guided ? "guided" : "conditional"}${cached ? ", cached" : ""}${
    controls ? `, controls ${controls.join(" ")}` : ""
  }`;
}

/**
 * The number of the step, from 0, that each run of the UNet belongs to.
 *
 * @param steps a schedule's
 * @param first number of the first that is run
 */
export function stepNumbers(
  steps: readonly { readonly step?: number }[],
  first: number,
): number[] {
  const numbers = steps.map(({ step }, i) => step ?? i).slice(first);
  return numbers.map((number) => number - numbers[0]);
}
