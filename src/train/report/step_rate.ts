/**
 * Steps per second over the last while.
 *
 * @module
 */

/** Speeds are measured over so many seconds, and two steps at least. */
const WINDOW = 60;
/** The most times that are kept. */
const MAX_TIMES = 1000;

/** Measures how fast steps are done. */
export class StepRate {
  /** Steps and when they were done, in seconds, oldest first. */
  readonly #times: { step: number; at: number }[] = [];

  /**
   * Takes the time of a step.
   *
   * @param step steps that were done
   * @param at seconds, from any start; now where not given
   * @returns steps per second; 0 until two times are known
   */
  tick(step: number, at: number = performance.now() / 1000): number {
    const times = this.#times;
    times.push({ step, at });
    while (
      times.length > 2 &&
      (times.length > MAX_TIMES || times[1].at < at - WINDOW)
    ) times.shift();
    const first = times[0];
    return at > first.at ? (step - first.step) / (at - first.at) : 0;
  }
}
