/**
 * Progress for a person: one line that is rewritten on a terminal, plain lines
 * elsewhere.
 *
 * @module
 */
import { withFlags } from "./advice.ts";
import { oneLine } from "./exit.ts";
import type { OnProgress, Progress, Stage } from "../base/progress.ts";

const titles: Readonly<Record<Stage, string>> = {
  load: "Loading",
  prepare: "Preparing",
  identity: "Encoding the reference",
  denoise: "Denoising",
  decode: "Decoding",
};

/** What a line begins with. */
function title({ stage, network }: Progress): string {
  return network ? `${titles[stage]} the ${network}` : titles[stage];
}

/** Characters of the progress bar. */
const BAR = 24;
/** Milliseconds between two lines where they cannot be rewritten. */
const INTERVAL = 1000;

/** Writes progress. */
export class ProgressLines implements Disposable {
  readonly #write: (text: string) => void;
  readonly #terminal: boolean;
  #title = "";
  #started = 0;
  #written = 0;
  #open = false;

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

  /** Shows progress: the `onProgress` of a long call. */
  readonly progress: OnProgress = (progress) => {
    const { stage, done, total } = progress;
    const now = performance.now();
    const name = title(progress);
    if (name !== this.#title) {
      this.#closeLine();
      this.#title = name;
      this.#started = now;
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
      this.#write(`\r\x1b[K${name} ${bar} ${count}${left}`);
      this.#open = true;
    } else if (done >= total || now - this.#written >= INTERVAL) {
      this.#written = now;
      this.#write(`${name}: ${count}${left}\n`);
    }
  };

  /** Shows a warning on a line of its own, with options named as flags. */
  readonly warning = (text: string): void => {
    this.#closeLine();
    this.#write(`Note: ${oneLine(withFlags(text))}\n`);
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
