/**
 * Writes dlib's serialisation, and a small landmark model in it.
 *
 * @module
 */
import { random } from "./weights.ts";

/** Collects serialised numbers. */
export class DlibWriter {
  readonly #bytes: number[] = [];

  /** What was written. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes);
  }

  /** Integers. */
  int(...values: number[]): this {
    for (const value of values) {
      const magnitude: number[] = [];
      let rest = BigInt(Math.abs(value));
      do {
        magnitude.push(Number(rest & 0xffn));
        rest >>= 8n;
      } while (rest > 0n);
      this.#bytes.push(magnitude.length | (value < 0 ? 0x80 : 0), ...magnitude);
    }
    return this;
  }

  /** Real numbers. */
  double(...values: number[]): this {
    for (let value of values) {
      let exponent = 0;
      while (!Number.isInteger(value)) {
        value *= 2;
        exponent--;
      }
      this.int(value, exponent);
    }
    return this;
  }

  /** Bytes as they are. */
  raw(...values: number[]): this {
    this.#bytes.push(...values);
    return this;
  }
}

/** Sizes of a small landmark model, which tests may falsify. */
export interface SmallModel {
  readonly version: number;
  readonly cascades: number;
  readonly trees: number;
  readonly splits: number;
  readonly leaves: number;
  readonly pixels: number;
  /** The largest pixel that a split names. */
  readonly lastPixel: number;
  /** The anchor of every pixel is below this. */
  readonly anchors: number;
}

const SMALL: SmallModel = {
  version: 1,
  cascades: 2,
  trees: 3,
  splits: 3,
  leaves: 4,
  pixels: 5,
  lastPixel: 4,
  anchors: 68,
};

/** A landmark model of a few kilobytes. */
export function smallPredictor(
  change: Partial<SmallModel> = {},
): Uint8Array<ArrayBuffer> {
  const m = { ...SMALL, ...change };
  const next = random(7);
  const small = (scale: number) => Math.fround((next(2001) - 1000) * scale);
  const writer = new DlibWriter().int(m.version).int(-136, -1);
  for (let i = 0; i < 136; i++) writer.double(next(1000) / 1024);
  writer.int(m.cascades);
  // Counts may be wrong; the content is always that of the small model.
  for (let cascade = 0; cascade < SMALL.cascades; cascade++) {
    writer.int(m.trees);
    for (let tree = 0; tree < SMALL.trees; tree++) {
      writer.int(m.splits);
      for (let split = 0; split < SMALL.splits; split++) {
        writer.int(next(SMALL.pixels), m.lastPixel).double(small(0.125));
      }
      writer.int(m.leaves);
      for (let leaf = 0; leaf < SMALL.leaves; leaf++) {
        writer.int(-136, -1);
        for (let i = 0; i < 136; i++) writer.double(small(1e-5));
      }
    }
  }
  writer.int(m.cascades);
  for (let cascade = 0; cascade < SMALL.cascades; cascade++) {
    writer.int(m.pixels);
    for (let i = 0; i < SMALL.pixels; i++) writer.int(m.anchors - 1 - next(60));
  }
  writer.int(m.cascades);
  for (let cascade = 0; cascade < SMALL.cascades; cascade++) {
    writer.int(m.pixels);
    for (let i = 0; i < SMALL.pixels; i++) {
      writer.double(small(1e-4), small(1e-4));
    }
  }
  return writer.bytes;
}
