/**
 * Browsers: which one this is, the oldest that will do, and what to do in each
 * where it has no GPU for this.
 *
 * @module
 */

/** A browser, by what can be done in it. */
export type Browser = "chrome" | "firefox" | "safari" | "other";

/**
 * The oldest versions that have all that is used.
 *
 * - Chrome has had WebGPU since 113 (Linux later), and no shader needs more; the
 *   page's scripts need `Uint8Array.toBase64`, since 140, the core
 *   `RegExp.escape`, since 136, `Float16Array`, since 135, and iterators' own
 *   methods, since 122.
 * - Firefox has all of these since 134; WebGPU came to Windows with 141 and to
 *   Macs with Apple silicon with 145.
 * - Safari has all of these since 18.4; WebGPU came with 26.
 */
export const OLDEST: Readonly<Record<Exclude<Browser, "other">, number>> = {
  chrome: 140,
  firefox: 145,
  safari: 26,
};

/** These versions in words. */
export const OLDEST_TEXT: string =
  `Chrome or Edge ${OLDEST.chrome}, Firefox ${OLDEST.firefox}, Safari ${OLDEST.safari}`;

/** The browser that a user agent means: Chrome's also names Safari. */
export function browserOf(userAgent: string): Browser {
  if (/\bFirefox\//.test(userAgent)) return "firefox";
  if (/Chrom(e|ium)\//.test(userAgent)) return "chrome";
  return /\bSafari\//.test(userAgent) ? "safari" : "other";
}

/** Whether the browser that runs this has what all these versions have. */
export function isRecentBrowser(): boolean {
  return "toBase64" in Uint8Array.prototype;
}

/** What to do without `navigator.gpu`, and with it but without an adapter. */
export interface Advice {
  /** Without `navigator.gpu`. */
  readonly withoutApi: string;
  /** With it, but without an adapter. */
  readonly withoutAdapter: string;
}

/** What to do in each browser; goes on after a colon. */
export const browserAdvice: Readonly<Record<Browser, Advice>> = {
  chrome: {
    withoutApi:
      `use Chrome or Edge ${OLDEST.chrome} or later; on Linux also turn on chrome://flags/#enable-unsafe-webgpu and start the browser anew`,
    withoutAdapter:
      "turn on graphics acceleration in Settings, System, and update the graphics driver; chrome://gpu says more; on Linux turn on chrome://flags/#enable-unsafe-webgpu and #enable-vulkan",
  },
  firefox: {
    withoutApi:
      `use Firefox ${OLDEST.firefox} or later on Windows or on a Mac with Apple silicon; elsewhere set dom.webgpu.enabled to true in about:config, or use Chrome`,
    withoutAdapter:
      "update the graphics driver; about:support says under Graphics what is blocked",
  },
  safari: {
    withoutApi:
      `use Safari ${OLDEST.safari} or later, on macOS, iOS or iPadOS ${OLDEST.safari} or later`,
    withoutAdapter:
      "update macOS, iOS or iPadOS, and switch off Lockdown Mode for this page",
  },
  other: {
    withoutApi: `use ${OLDEST_TEXT} or a later one`,
    withoutAdapter: "update the graphics driver, or use a recent Chrome",
  },
};
