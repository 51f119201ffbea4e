/**
 * How long a job still takes.
 *
 * @module
 */
import type { Progress } from "../../base/progress.ts";

/** Estimates the rest of a job from how fast its denoising steps go. */
export class TimeLeft {
  #started = 0;
  #first = 0;

  /**
   * Takes in progress.
   *
   * @returns seconds for the rest of the denoising; null where there is no telling yet
   */
  after({ stage, done, total }: Progress): number | null {
    if (stage !== "denoise") return null;
    const now = performance.now();
    // The first step prepares and is slower than the others.
    if (done <= 1) {
      this.#started = now;
      this.#first = done;
    }
    if (done <= this.#first) return null;
    const each = (now - this.#started) / (done - this.#first);
    return Math.round(each * (total - done) / 100) / 10;
  }
}
