/**
 * Converts rows of a PNG's samples to RGBA.
 *
 * @module
 */
import { ImageFault } from "./fault.ts";

/** How a file's pixels are stored. */
export interface PixelFormat {
  /** Bits a channel. */
  readonly depth: number;
  /** 0 gray, 2 colour, 3 palette, 4 gray and alpha, 6 colour and alpha. */
  readonly colorType: number;
  /** A palette's colours, RGBA. */
  readonly palette: Uint8Array;
  /** The one gray or colour that is transparent, a number for each channel. */
  readonly clear?: readonly number[];
}

/**
 * Combines a header's format with the chunks that complete it.
 *
 * @param header depth and colour type
 * @param plte the palette's chunk
 * @param trns the transparency chunk
 * @throws {ImageFault} where a palette is missing
 */
export function readFormat(
  { depth, colorType }: Pick<PixelFormat, "depth" | "colorType">,
  plte?: Uint8Array,
  trns?: Uint8Array,
): PixelFormat {
  const palette = colorType === 3 ? readPalette(plte, trns) : new Uint8Array();
  const channels = colorType === 0 ? 1 : colorType === 2 ? 3 : 0;
  const named = trns !== undefined && channels > 0 &&
    trns.length >= 2 * channels;
  const clear = named
    ? Array.from(
      { length: channels },
      (_, c) => trns[2 * c] << 8 | trns[2 * c + 1],
    )
    : undefined;
  return { depth, colorType, palette, clear };
}

function readPalette(plte?: Uint8Array, trns?: Uint8Array): Uint8Array {
  if (plte === undefined || plte.length === 0 || plte.length % 3 !== 0) {
    throw new ImageFault("damaged", "its palette is missing or broken");
  }
  const palette = new Uint8Array((plte.length / 3) * 4);
  for (let i = 0; 3 * i < plte.length; i++) {
    palette.set(plte.subarray(3 * i, 3 * i + 3), 4 * i);
    palette[4 * i + 3] = trns?.[i] ?? 255;
  }
  return palette;
}

/**
 * Writes the pixels of a row.
 *
 * @param row its samples, unfiltered
 * @param out where they go
 * @param from the place of the first, in pixels
 * @param end the first place past the row
 * @param step how far apart they go
 */
export type PixelWriter = (
  row: Uint8Array,
  out: Uint8ClampedArray,
  from: number,
  end: number,
  step: number,
) => void;

/** Makes the writer for a format. */
export function pixelWriter(format: PixelFormat): PixelWriter {
  if (format.colorType === 3) return paletteWriter(format);
  if (format.colorType === 0) return grayWriter(format);
  return colourWriter(format);
}

/** Reads sample `i` of a row, unscaled. */
function sampleReader(depth: number): (row: Uint8Array, i: number) => number {
  if (depth === 8) return (row, i) => row[i];
  if (depth === 16) return (row, i) => row[2 * i] << 8 | row[2 * i + 1];
  const perByte = 8 / depth;
  const most = (1 << depth) - 1;
  return (row, i) => {
    const shift = 8 - depth * (1 + i % perByte);
    return row[Math.floor(i / perByte)] >> shift & most;
  };
}

function paletteWriter({ depth, palette }: PixelFormat): PixelWriter {
  const sample = sampleReader(depth);
  return (row, out, from, end, step) => {
    for (let x = from, i = 0; x < end; x += step, i++) {
      const entry = 4 * sample(row, i);
      if (entry >= palette.length) {
        throw new ImageFault(
          "damaged",
          `one of its pixels has colour ${entry / 4} of a palette of ${
            palette.length / 4
          }`,
        );
      }
      for (let c = 0; c < 4; c++) out[4 * x + c] = palette[entry + c];
    }
  };
}

function grayWriter({ depth, clear }: PixelFormat): PixelWriter {
  const sample = sampleReader(depth);
  // Fewer than 8 bits are scaled to 0..255; of 16 the high 8 are taken.
  const scale = depth < 8 ? 255 / ((1 << depth) - 1) : 1;
  const shift = depth === 16 ? 8 : 0;
  return (row, out, from, end, step) => {
    for (let x = from, i = 0; x < end; x += step, i++) {
      const value = sample(row, i);
      const at = 4 * x;
      out[at] = out[at + 1] = out[at + 2] = (value >> shift) * scale;
      out[at + 3] = value === clear?.[0] ? 0 : 255;
    }
  };
}

/** The writer for colour, with or without alpha, and for gray with alpha. */
function colourWriter({ depth, colorType, clear }: PixelFormat): PixelWriter {
  const bytes = depth / 8;
  const [green, blue, alpha, channels] = colorType === 4
    ? [0, 0, bytes, 2]
    : [bytes, 2 * bytes, 3 * bytes, colorType === 6 ? 4 : 3];
  const pixelBytes = channels * bytes;
  const sample = sampleReader(depth);
  const isClear = (row: Uint8Array, i: number) =>
    clear!.every((value, c) => sample(row, 3 * i + c) === value);
  return (row, out, from, end, step) => {
    for (let x = from, i = 0, s = 0; x < end; x += step, i++, s += pixelBytes) {
      const at = 4 * x;
      out[at] = row[s];
      out[at + 1] = row[s + green];
      out[at + 2] = row[s + blue];
      if (colorType !== 2) out[at + 3] = row[s + alpha];
      else out[at + 3] = clear !== undefined && isClear(row, i) ? 0 : 255;
    }
  };
}
