import { MasterWeaverError } from "../base/errors.ts";
import type { Sampler, SamplerSchedule } from "./sampler.ts";

/**
 * Requires that a sampler's schedule can be run.
 *
 * @param first number of the first step that is run
 * @throws {MasterWeaverError} `bad-option` naming the sampler and what does not fit
 */
export function checkSchedule(
  { name, coefficients }: Pick<Sampler, "name" | "coefficients">,
  { steps, initialNoiseScale }: SamplerSchedule,
  first: number,
): void {
  const fail = (what: string) => {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot run sampler ${name}: ${what}`,
    );
  };
  if (!Number.isInteger(coefficients) || coefficients < 1) {
    fail(`it has ${coefficients} coefficients, expected 1 or more`);
  }
  if (!Number.isFinite(initialNoiseScale)) {
    fail(`its initial noise scale is ${initialNoiseScale}`);
  }
  if (!Number.isInteger(first) || first < 0 || first >= steps.length) {
    fail(`it has ${steps.length} steps, of which number ${first} is the first`);
  }
  for (const [i, step] of steps.entries()) {
    const numbers = [step.timestep, ...step.coefficients];
    if (step.coefficients.length !== coefficients) {
      fail(
        `step ${i} has ${step.coefficients.length} coefficients, expected ${coefficients}`,
      );
    }
    if (!numbers.every(Number.isFinite)) {
      const wrong = new Set(numbers.filter((value) => !Number.isFinite(value)));
      fail(
        `step ${i} of ${steps.length} has factors that are not finite (${
          [...wrong].join(", ")
        }); give fewer steps or another schedule`,
      );
    }
  }
}
