/**
 * A JPEG's frame: its size, and the channels it consists of.
 *
 * @module
 */
import { ImageFault } from "../fault.ts";

/** One channel of a frame, in blocks of 8 × 8 samples. */
export interface Component {
  /** What scans call it. */
  readonly id: number;
  /** Samples across, for the frame's largest number across. */
  readonly across: number;
  /** Samples down, likewise. */
  readonly down: number;
  /** The number of its quantisation table. */
  readonly table: number;
  /** Samples a row that are part of the image. */
  readonly width: number;
  /** Rows of samples that are part of the image. */
  readonly height: number;
  /** Blocks a row, with those that fill up the last group. */
  readonly blocksAcross: number;
  /** Rows of blocks, with those that fill up the last group. */
  readonly blocksDown: number;
}

/** What a frame header says. */
export interface Frame {
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Whether each scan adds some of the detail. */
  readonly progressive: boolean;
  /** The most samples across that a channel has. */
  readonly mostAcross: number;
  /** The most samples down. */
  readonly mostDown: number;
  /** The channels, in the file's order. */
  readonly components: readonly Component[];
}

/**
 * Reads the header of a frame that {@linkcode summarizeJpeg} found nothing
 * wrong with: 8 bits, 1, 3 or 4 channels, sampled 1..4 times.
 */
export function readFrame(marker: number, content: Uint8Array): Frame {
  const [, high, low, wide, narrow, count] = content;
  const [height, width] = [high << 8 | low, wide << 8 | narrow];
  const parts = Array.from({ length: count }, (_, i) => {
    const [id, sampling, table] = content.subarray(6 + 3 * i, 9 + 3 * i);
    return { id, across: sampling >> 4, down: sampling & 15, table };
  });
  const mostAcross = Math.max(...parts.map(({ across }) => across));
  const mostDown = Math.max(...parts.map(({ down }) => down));
  const components = parts.map((part) => {
    const { across, down } = part;
    if (mostAcross % across !== 0 || mostDown % down !== 0) {
      throw new ImageFault(
        "unsupported",
        `is a JPEG with channels sampled ${across}x${down} beside ${mostAcross}x${mostDown}`,
      );
    }
    return {
      ...part,
      width: Math.ceil((width * across) / mostAcross),
      height: Math.ceil((height * down) / mostDown),
      blocksAcross: Math.ceil(width / (8 * mostAcross)) * across,
      blocksDown: Math.ceil(height / (8 * mostDown)) * down,
    };
  });
  return {
    width,
    height,
    progressive: marker === 0xc2,
    mostAcross,
    mostDown,
    components,
  };
}
