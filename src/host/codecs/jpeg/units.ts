/**
 * The order of a scan's blocks: by coded units (JPEG's MCUs), with restarts.
 *
 * In a scan of one channel a unit is one block, and there are as many as the
 * samples need. In a scan of several a unit has the blocks of all channels at
 * one place, and the last units of a row and column are padded.
 *
 * @module
 */
import { ImageFault } from "../fault.ts";
import { isRestart, JpegSegments, Marker } from "../jpeg_segments.ts";
import type { Component, Frame } from "./frame.ts";
import type { BitReader } from "./huffman.ts";

/** The grid of a scan's units. */
export interface UnitLayout {
  /** Units a row. */
  readonly across: number;
  /** Rows of units. */
  readonly down: number;
  /** Rows of the image that a unit covers. */
  readonly rows: number;
  /** By channel of the scan: blocks a unit, across and down. */
  readonly blocks: readonly (readonly [across: number, down: number])[];
}

/** Lays out the units of a scan of these channels. */
export function unitLayout(
  { maxDown }: Frame,
  components: readonly Component[],
): UnitLayout {
  const [first] = components;
  if (components.length === 1) {
    return {
      across: Math.ceil(first.width / 8),
      down: Math.ceil(first.height / 8),
      rows: (8 * maxDown) / first.down,
      blocks: [[1, 1]],
    };
  }
  return {
    across: first.blocksAcross / first.across,
    down: first.blocksDown / first.down,
    rows: 8 * maxDown,
    blocks: components.map(({ across, down }) => [across, down] as const),
  };
}

/** Decodes a block, by its column and row in its channel. */
export type BlockDecoder = (x: number, y: number) => void;

/** What {@linkcode eachBlock} needs to go through a scan. */
export interface ScanContext {
  /** The whole file. */
  readonly file: Uint8Array;
  /** The scan's bits. */
  readonly reader: BitReader;
  /** Rows of the image, for messages. */
  readonly height: number;
  /** Units between restarts; 0 for none. */
  readonly restartInterval: number;
  /** Called at each restart. */
  readonly restart: () => void;
  /** By channel of the scan. */
  readonly decoders: readonly BlockDecoder[];
}

/**
 * Goes through all blocks of a scan.
 *
 * @throws {ImageFault} where its data ends before the last unit
 */
export function eachBlock(layout: UnitLayout, scan: ScanContext): void {
  const { reader, decoders, restartInterval } = scan;
  for (let unit = 0; unit < layout.across * layout.down; unit++) {
    if (restartInterval > 0 && unit > 0 && unit % restartInterval === 0) {
      const due = (unit / restartInterval - 1) % 8;
      if (!passRestart(scan.file, reader, due)) failCut(layout, scan, unit);
      scan.restart();
    }
    // In the last unit missing bits are read as zeros, as libjpeg does.
    if (reader.overrun) failCut(layout, scan, unit);
    const column = unit % layout.across;
    const row = Math.floor(unit / layout.across);
    for (let i = 0; i < decoders.length; i++) {
      const [across, down] = layout.blocks[i];
      for (let y = row * down; y < (row + 1) * down; y++) {
        for (let x = column * across; x < (column + 1) * across; x++) {
          decoders[i](x, y);
        }
      }
    }
  }
}

/**
 * Moves past the next marker, which must be the restart marker that is due.
 *
 * @returns false where there is none left
 */
function passRestart(
  file: Uint8Array,
  reader: BitReader,
  due: number,
): boolean {
  const at = JpegSegments.nextMarker(file, reader.position);
  if (at < 0 || !isRestart(file[at + 1])) return false;
  if (file[at + 1] !== Marker.RST0 + due) {
    throw new ImageFault("damaged", "its restart markers are out of order");
  }
  reader.jump(at + 2);
  return true;
}

function failCut(
  { across, rows }: UnitLayout,
  { height }: ScanContext,
  unit: number,
): never {
  const row = Math.floor(unit / across) * rows;
  throw new ImageFault("cut", `its pixels end in row ${row} of ${height}`);
}
