/**
 * The option `outpaint` as four texts: `left=64,top=32`.
 *
 * @module
 */

/** The sides, as somebody goes around an image. */
export const SIDES = ["left", "top", "right", "bottom"] as const;

/** What is typed for each side. */
export type OutpaintPixels = Readonly<Record<typeof SIDES[number], string>>;

/** The texts of the four sides, whatever is typed. */
export function outpaintPixels(text: string): OutpaintPixels {
  const given = Object.fromEntries(
    text.split(",").map((side) => side.split("=")),
  );
  const { left = "", top = "", right = "", bottom = "" } = given;
  return { left, top, right, bottom };
}

/** The option's text; a side without pixels is left out. */
export function outpaintText(pixels: OutpaintPixels): string {
  return SIDES.map((side) => [side, pixels[side].replaceAll(/[,=\s]/g, "")])
    .filter(([, typed]) => typed !== "" && typed !== "0")
    .map((side) => side.join("=")).join(",");
}
