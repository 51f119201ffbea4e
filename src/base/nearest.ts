/**
 * What was meant by a name that there is not.
 *
 * @module
 */

/**
 * The name most like a wrong one, however it is cased and divided.
 *
 * @returns nothing where none is like it at all
 *
 * @example
 * ```ts
 * import { nearest } from "./nearest.ts";
 *
 * console.log(nearest("negative_prompt", ["steps", "negativePrompt"])); // "negativePrompt"
 * ```
 */
export function nearest(
  wrong: string,
  names: readonly string[],
): string | undefined {
  const typed = plain(wrong);
  const [best] = names
    .map((name) => {
      const whole = plain(name);
      const isStart = typed.length > 2 && whole.startsWith(typed);
      return { name, far: isStart ? 0 : edits(typed, whole) };
    })
    .sort((a, b) => a.far - b.far);
  return best && best.far <= Math.max(1, Math.floor(typed.length / 2))
    ? best.name
    : undefined;
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

/** Letters to insert, leave out or change between two words. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
