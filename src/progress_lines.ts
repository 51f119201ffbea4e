/**
 * Progress for a person: one line that is rewritten on a terminal, plain lines
 * elsewhere.
 *
 * @module
 */
import type { OnProgress, Stage } from "./progress.ts";

const titles: Readonly<Record<Stage, string>> = {
  load: "Loading the model",
  compile: "Preparing the GPU",
  identity: "Looking at the reference",
  denoise: "Denoising",
  decode: "Decoding",
};

const BAR = 24;

/** Writes progress. */
export class ProgressLines implements Disposable {
  readonly #write: (text: string) => void;
  readonly #terminal: boolean;
  #stage: Stage | null = null;
  #started = 0;
  #open = false;
  #tenth = 0;

  /**
   * Writes through a function.
   *
   * @param write takes text for stderr
   * @param terminal whether a line can be rewritten
   */
  constructor(write: (text: string) => void, terminal: boolean) {
    this.#write = write;
    this.#terminal = terminal;
  }

  /** To be given to a long call. */
  readonly progress: OnProgress = ({ stage, done, total }) => {
    const now = performance.now();
    if (stage !== this.#stage) {
      this.#closeLine();
      this.#stage = stage;
      this.#started = now;
      this.#tenth = -1;
    }
    const share = total > 0 ? done / total : 1;
    const left = done > 0 && done < total
      ? `, ${duration((now - this.#started) / done * (total - done))} left`
      : "";
    const count = stage === "load"
      ? `${Math.round(100 * share)} %`
      : `${done}/${total}`;
    if (this.#terminal) {
      const filled = Math.round(BAR * share);
      const bar = "█".repeat(filled) + "░".repeat(BAR - filled);
      this.#write(`\r\x1b[K${titles[stage]} ${bar} ${count}${left}`);
      this.#open = true;
    } else if (Math.floor(10 * share) > this.#tenth) {
      this.#tenth = Math.floor(10 * share);
      this.#write(`${titles[stage]}: ${count}${left}\n`);
    }
  };

  /** A line of its own, for notices. */
  readonly notice = (text: string): void => {
    this.#closeLine();
    this.#write(`Note: ${text}\n`);
  };

  /** Ends a line that is still being rewritten. */
  end(): void {
    this.#closeLine();
  }

  /** Ends as {@linkcode end}. */
  [Symbol.dispose](): void {
    this.#closeLine();
  }

  #closeLine(): void {
    if (this.#open) this.#write("\n");
    this.#open = false;
  }
}

function duration(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  return seconds < 60
    ? `${seconds} s`
    : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
