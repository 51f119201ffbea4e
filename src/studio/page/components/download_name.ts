/**
 * What images are called when they are downloaded.
 *
 * @module
 */
import type { Entry } from "../state/history.ts";

/** The most characters of the prompt. */
const LONGEST = 40;

/** The name of an image's file: its seed, its place where there are several, and the prompt's first words. */
export function downloadName(
  { settings, images }: Pick<Entry, "settings" | "images">,
  index: number,
): string {
  const place = images > 1 ? `-${index}` : "";
  const words = String(settings.prompt ?? "").toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, "-").replace(/^-/, "");
  const prompt = [...words].slice(0, LONGEST).join("").replace(/-$/, "");
  return `masterweaver-${settings.seed}${place}${prompt && `-${prompt}`}.png`;
}
