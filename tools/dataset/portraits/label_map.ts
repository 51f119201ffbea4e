/**
 * Label maps of portraits: the same drawing once more, each part in one grey
 * that says its class.
 *
 * @module
 */
import {
  PART_NAMES,
  type PartDrawings,
  type PartName,
  type Raster,
} from "./packages.ts";

/** Classes of CelebAMask-HQ that a drawing has. */
const CLASS: Readonly<Record<PartName, number>> = {
  hairBg: 17,
  body: 14,
  jersey: 16,
  ear: 7,
  head: 1,
  eyeLine: 1,
  smileLine: 1,
  miscLine: 1,
  facialHair: 1,
  eye: 4,
  eyebrow: 2,
  mouth: 12,
  nose: 10,
  hair: 17,
  glasses: 6,
  accessories: 18,
};

/** Grey levels between two classes. */
const STEP = 10;

/** Each part in the grey of its class. */
export function flatDrawings(drawings: PartDrawings): PartDrawings {
  const flat = {} as Record<PartName, Record<string, string>>;
  for (const part of PART_NAMES) {
    const level = CLASS[part] * STEP;
    const grey = `rgb(${level},${level},${level})`;
    flat[part] = Object.fromEntries(
      Object.entries(drawings[part]).map(([id, svg]) =>
        [id, flatten(svg, grey)] as const
      ),
    );
  }
  return flat;
}

/**
 * One part in one opaque colour, outlines, pupils and teeth included: colours
 * are in attributes and in `style`, and some parts are blended with others.
 */
function flatten(svg: string, grey: string): string {
  return svg
    .replace(/fill="(?!none)[^"]*"/g, `fill="${grey}"`)
    .replace(/stroke="(?!none)[^"]*"/g, `stroke="${grey}"`)
    .replace(/(?<=[";])(fill|stroke):(?!none)[^;"]*/g, `$1:${grey}`)
    .replace(/(fill-|stroke-)?opacity="[^"]*"/g, "")
    .replace(/(?<=[";])((fill-|stroke-)?opacity|mix-blend-mode):[^;"]*;?/g, "")
    .replace(
      /<(path|circle|ellipse|rect)(?![^>]*fill=)/g,
      `<$1 fill="${grey}"`,
    )
    .replace(/<style>[\s\S]*?<\/style>/g, "")
    .replace(/class="[^"]*"/g, "");
}

/**
 * Reads the classes of a flat drawing.
 *
 * @returns (height, width), classes 0..18
 */
export function labelMap({ width, height, data }: Raster): Uint8Array {
  const labels = new Uint8Array(width * height);
  for (let p = 0; p < labels.length; p++) {
    const isInside = data[4 * p + 3] >= 128;
    if (isInside) labels[p] = Math.round(data[4 * p] / STEP);
  }
  return labels;
}
