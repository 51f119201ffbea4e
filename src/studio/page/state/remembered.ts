/**
 * Small things that the browser remembers: what is in the form, the running
 * job, whether a software adapter will do. Nothing here fails, for a browser may refuse to remember.
 *
 * @module
 */

/** What is remembered: a name of each. */
export type Remembered =
  | "language"
  | "theme"
  | "form"
  | "photos"
  | "job"
  | "software";

const PREFIX = "masterweaver.";

/** Reads what was remembered; undefined where there is nothing, or nonsense. */
export function remembered(name: Remembered): unknown {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Remembers something; undefined forgets it. */
export function remember(name: Remembered, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // It works without.
  }
}
