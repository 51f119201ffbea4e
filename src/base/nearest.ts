/**
 * Suggests the valid names that an unknown one was probably meant to be.
 *
 * @module
 */

/**
 * Finds the valid name closest to an unknown one, ignoring case, `-` and `_`.
 *
 * @returns `undefined` if none is close
 *
 * @example
 * ```ts
 * import { nearest } from "./nearest.ts";
 *
 * console.log(nearest("negative_prompt", ["steps", "negativePrompt"])); // "negativePrompt"
 * ```
 */
export function nearest(
  unknown: string,
  names: readonly string[],
): string | undefined {
  return nearestNames(unknown, names, 1)[0];
}

/**
 * Finds the valid names close to an unknown one, closest first, as
 * {@linkcode nearest} does.
 *
 * @param most the most names that are returned
 * @param furthest the most letters that differ; half of the unknown name's where not given
 *
 * @example
 * ```ts
 * import { nearestNames } from "./nearest.ts";
 *
 * console.log(nearestNames("snwo", ["snow", "sand", "rain"], 3)); // ["snow", "sand"]
 * ```
 */
export function nearestNames(
  unknown: string,
  names: readonly string[],
  most: number,
  furthest: number = Math.max(1, Math.floor(plain(unknown).length / 2)),
): string[] {
  const typed = plain(unknown);
  return names
    .map((name) => {
      const candidate = plain(name);
      const isPrefix = typed.length > 2 && candidate.startsWith(typed);
      return { name, distance: isPrefix ? 0 : editDistance(typed, candidate) };
    })
    .filter(({ distance }) => distance <= furthest)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ name }) => name);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

/** Levenshtein distance: letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
