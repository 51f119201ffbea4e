/**
 * Small things that the browser remembers: what is in the form, the jobs that
 * run, whether a software adapter will do. Nothing here fails, for a browser may
 * refuse to remember.
 *
 * @module
 */

/** What is remembered: a name of each. */
export type Remembered =
  | "language"
  | "theme"
  | "form"
  | "photos"
  | "sources"
  | "job"
  | `job.${string}`
  | `held.${string}`
  | "software";

const PREFIX = "masterweaver.";

/** Reads what was remembered; undefined where there is nothing, or nonsense. */
export function remembered(name: Remembered): unknown {
  return read(() => localStorage, name);
}

/** Remembers something; undefined forgets it. */
export function remember(name: Remembered, value: unknown): void {
  write(() => localStorage, name, value);
}

/** Reads what this tab remembered: it survives a reload, and no other tab sees it. */
export function rememberedInTab(name: Remembered): unknown {
  return read(() => sessionStorage, name);
}

/** Remembers something for this tab alone. */
export function rememberInTab(name: Remembered, value: unknown): void {
  write(() => sessionStorage, name, value);
}

/** Reads what this tab remembered; in a new tab, what any tab remembered last. */
export function lastRemembered(name: Remembered): unknown {
  return rememberedInTab(name) ?? remembered(name);
}

/** Remembers something for this tab, and for new ones to begin with. */
export function rememberAsLast(name: Remembered, value: unknown): void {
  rememberInTab(name, value);
  remember(name, value);
}

/** The rest of each name that begins with something. */
export function rememberedNames(start: "job."): string[] {
  try {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(PREFIX + start))
      .map((key) => key.slice(PREFIX.length + start.length));
  } catch {
    return [];
  }
}

/** The browser may refuse even to name its storage. */
function read(storage: () => Storage, name: Remembered): unknown {
  try {
    const text = storage().getItem(PREFIX + name);
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function write(storage: () => Storage, name: Remembered, value: unknown): void {
  try {
    if (value === undefined) storage().removeItem(PREFIX + name);
    else storage().setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // It works without.
  }
}
