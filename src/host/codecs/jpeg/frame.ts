/**
 * A JPEG's frame: its size, and the channels it consists of.
 *
 * @module
 */
import { ImageFault } from "../fault.ts";

/** One channel of a frame, in blocks of 8 × 8 samples. */
export interface Component {
  /** The number that scans name it by. */
  readonly id: number;
  /** Horizontal sampling factor, at most the frame's `maxAcross`. */
  readonly across: number;
  /** Vertical sampling factor, at most `maxDown`. */
  readonly down: number;
  /** The number of its quantisation table. */
  readonly table: number;
  /** Samples a row that are part of the image. */
  readonly width: number;
  /** Rows of samples that are part of the image. */
  readonly height: number;
  /** Blocks a row, with the padding of the last coded unit. */
  readonly blocksAcross: number;
  /** Rows of blocks, with the padding of the last coded unit. */
  readonly blocksDown: number;
}

/** What a frame header says. */
export interface Frame {
  /** Pixels a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Whether several scans refine the image step by step. */
  readonly progressive: boolean;
  /** The largest horizontal sampling factor of a channel. */
  readonly maxAcross: number;
  /** The largest vertical one. */
  readonly maxDown: number;
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
  const channels = Array.from({ length: count }, (_, i) => {
    const [id, sampling, table] = content.subarray(6 + 3 * i, 9 + 3 * i);
    return { id, across: sampling >> 4, down: sampling & 15, table };
  });
  const maxAcross = Math.max(...channels.map(({ across }) => across));
  const maxDown = Math.max(...channels.map(({ down }) => down));
  const components = channels.map((channel) => {
    const { across, down } = channel;
    if (maxAcross % across !== 0 || maxDown % down !== 0) {
      throw new ImageFault(
        "unsupported",
        `is a JPEG with channels sampled ${across}x${down} beside ${maxAcross}x${maxDown}`,
      );
    }
    return {
      ...channel,
      width: Math.ceil((width * across) / maxAcross),
      height: Math.ceil((height * down) / maxDown),
      blocksAcross: Math.ceil(width / (8 * maxAcross)) * across,
      blocksDown: Math.ceil(height / (8 * maxDown)) * down,
    };
  });
  return {
    width,
    height,
    progressive: marker === 0xc2,
    maxAcross,
    maxDown,
    components,
  };
}
