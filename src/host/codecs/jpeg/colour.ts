/**
 * The colour space of a JPEG's channels, and their conversion to RGBA.
 *
 * @module
 */
import type { Frame } from "./frame.ts";
import type { RowReader } from "./upsample.ts";

/** What the channels are: YCC and YCCK have luma and two colour differences. */
export type ColourSpace = "gray" | "ycc" | "rgb" | "cmyk" | "ycck";

/** What markers say of the colours. */
export interface ColourMarkers {
  /** Whether there is a JFIF marker, which stands for YCC. */
  jfif: boolean;
  /** The transform that an Adobe marker names: 0 none, 1 YCC, 2 YCCK. */
  adobe?: number;
}

/** Decides on the colour space as libjpeg does: by markers, else by channel ids. */
export function colourSpace(
  { components }: Frame,
  { jfif, adobe }: ColourMarkers,
): ColourSpace {
  if (components.length === 1) return "gray";
  if (components.length === 4) {
    return adobe === undefined || adobe === 0 ? "cmyk" : "ycck";
  }
  if (jfif) return "ycc";
  if (adobe !== undefined) return adobe === 0 ? "rgb" : "ycc";
  const names = String.fromCharCode(...components.map(({ id }) => id));
  return names === "RGB" ? "rgb" : "ycc";
}

/** Writes a row of pixels. */
type RowWriter = (
  rows: readonly Uint8ClampedArray[],
  out: Uint8ClampedArray,
  at: number,
  width: number,
) => void;

/** Combines a frame's channels into opaque RGBA. */
export function toRgba(
  { width, height }: Frame,
  space: ColourSpace,
  readers: readonly RowReader[],
): Uint8ClampedArray {
  const out = new Uint8ClampedArray(width * height * 4);
  const write = writers[space];
  for (let y = 0; y < height; y++) {
    const rows = readers.map((row) => row(y));
    write(rows, out, y * width * 4, width);
  }
  return out;
}

// libjpeg's tables, with 16 fraction bits.
const HALF = 1 << 15;
const redOfCr = table((x) => (91881 * x + HALF) >> 16);
const blueOfCb = table((x) => (116130 * x + HALF) >> 16);
const greenOfCr = table((x) => -46802 * x);
const greenOfCb = table((x) => -22554 * x + HALF);

function table(of: (difference: number) => number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, value) => of(value - 128));
}

const writers: Readonly<Record<ColourSpace, RowWriter>> = {
  gray: ([gray], out, at, width) => {
    for (let x = 0; x < width; x++, at += 4) {
      out[at] = out[at + 1] = out[at + 2] = gray[x];
      out[at + 3] = 255;
    }
  },
  rgb: ([red, green, blue], out, at, width) => {
    for (let x = 0; x < width; x++, at += 4) {
      out[at] = red[x];
      out[at + 1] = green[x];
      out[at + 2] = blue[x];
      out[at + 3] = 255;
    }
  },
  ycc: (rows, out, at, width) => {
    writeYcc(rows, out, at, width);
    for (let x = 0; x < width; x++) out[at + 4 * x + 3] = 255;
  },
  cmyk: ([cyan, magenta, yellow, black], out, at, width) => {
    for (let x = 0; x < width; x++, at += 4) {
      const light = black[x];
      out[at] = lessInk(light, cyan[x]);
      out[at + 1] = lessInk(light, magenta[x]);
      out[at + 2] = lessInk(light, yellow[x]);
      out[at + 3] = 255;
    }
  },
  ycck: (rows, out, at, width) => {
    // YCC gives red, green and blue; the inks are their complements.
    writeYcc(rows, out, at, width);
    for (let x = 0; x < width; x++, at += 4) {
      const light = rows[3][x];
      for (let c = at; c < at + 3; c++) out[c] = lessInk(light, 255 - out[c]);
      out[at + 3] = 255;
    }
  },
};

function writeYcc(
  [luma, cb, cr]: readonly Uint8ClampedArray[],
  out: Uint8ClampedArray,
  at: number,
  width: number,
): void {
  for (let x = 0; x < width; x++, at += 4) {
    const y = luma[x];
    const [b, r] = [cb[x], cr[x]];
    out[at] = y + redOfCr[r];
    out[at + 1] = y + ((greenOfCb[b] + greenOfCr[r]) >> 16);
    out[at + 2] = y + blueOfCb[b];
  }
}

/**
 * The light that an ink and black leave, as Pillow computes it. Both are stored
 * inverted, as Adobe's programs do, whether or not a marker says so.
 */
function lessInk(light: number, inverted: number): number {
  const product = (255 - inverted) * light + 128;
  return light - (((product >> 8) + product) >> 8);
}
