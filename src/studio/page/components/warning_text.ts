/**
 * Says the library's warnings about photos in the page's words.
 *
 * @module
 */
import type { Strings } from "../strings.ts";

/** A warning; one that is not known here stays as it is. */
export function warningText(warning: string, { warnings }: Strings): string {
  const [, number, said] = /^Reference (\d+): (.*)$/s.exec(warning) ?? [];
  if (said === undefined) return warning;
  const [from = "", to = ""] = said.match(/\d+×\d+/g) ?? [];
  const known: readonly (readonly [string, () => string])[] = [
    ["are squeezed to a square", () => warnings.squeezed(from)],
    ["are cut off", () => warnings.cropped(from, to)],
    ["are reduced to", () => warnings.reduced(from, to)],
    ["found no face", () => warnings.noFace],
    ["and took the best-scoring one", () => warnings.several],
    ["not aligned. Cannot", () => warnings.notAligned],
  ];
  const own = known.find(([part]) => said.includes(part))?.[1]() ?? said;
  return warnings.photo(Number(number), own);
}
