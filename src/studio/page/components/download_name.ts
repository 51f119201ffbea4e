/**
 * What images are called when they are downloaded.
 *
 * @module
 */
import type { Entry } from "../state/history.ts";

/** The name of an image's file: its seed, and its place where there are several. */
export function downloadName(
  { settings, images }: Pick<Entry, "settings" | "images">,
  index: number,
): string {
  const place = images > 1 ? `-${index}` : "";
  return `masterweaver-${settings.seed}${place}.png`;
}
