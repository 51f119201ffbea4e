/**
 * Decodes JPEG files to exactly the bytes that libjpeg-turbo gives, and so
 * Pillow and most programs.
 *
 * Baseline and progressive, 8 bits, gray, colour and CMYK, every sampling that
 * libjpeg reads. A cut or damaged file is refused: no pixels are made up.
 *
 * @module
 */
import { startsWith } from "../bytes.ts";
import { ImageFault } from "../fault.ts";
import { JpegSegments, Marker } from "../jpeg_segments.ts";
import { type ColourMarkers, colourSpace, toRgba } from "./colour.ts";
import { type Component, type Frame, readFrame } from "./frame.ts";
import {
  BitReader,
  defaultTables,
  type HuffmanTable,
  huffmanTable,
} from "./huffman.ts";
import { inverseTransform } from "./idct.ts";
import {
  readScanHeader,
  ScanDecoder,
  type ScanHeader,
  ZIGZAG,
} from "./scan.ts";
import { type BlockDecoder, eachBlock, unitLayout } from "./units.ts";
import { type Plane, rowReader } from "./upsample.ts";

/** DC and nine AC coefficients: without them libjpeg would guess them from neighbours. */
const NEEDED_COEFFICIENTS = 10;

/** A channel while its scans are read. */
interface Channel extends Plane {
  /** Its quantisation table, from its first scan on. */
  quantization?: Uint16Array;
  /** Coefficients of all blocks, where several scans contribute to them. */
  readonly coefficients?: Int16Array;
  /** By zigzag index: bits still missing; −1 where nothing is known. */
  readonly missing: Int8Array;
}

/**
 * Decodes a JPEG file that {@linkcode summarizeJpeg} found nothing wrong with.
 *
 * @param file the whole file and nothing after it
 * @returns RGBA, opaque, of the frame's size
 * @throws {ImageFault} where the file is cut, damaged or not supported
 */
export function decodeJpeg(file: Uint8Array): Uint8ClampedArray {
  return new JpegDecoder(file).decode();
}

/** Decodes a file; holds what its segments have set up so far. */
class JpegDecoder {
  readonly #file: Uint8Array;
  readonly #quantization: (Uint16Array | undefined)[] = [];
  readonly #tables: (HuffmanTable | undefined)[][] = defaultTables();
  readonly #colour: ColourMarkers = { jfif: false };
  #restartInterval = 0;
  #frame?: Frame;
  #channels: Channel[] = [];

  constructor(file: Uint8Array) {
    this.#file = file;
  }

  decode(): Uint8ClampedArray {
    const segments = new JpegSegments(this.#file);
    for (let next = segments.next(); next; next = segments.next()) {
      const { marker, content } = next;
      if (marker === Marker.EOI) break;
      if (marker === Marker.SOS) {
        segments.position = this.#readScan(content, segments.position);
        // This one scan is the whole image; what follows is not part of it.
        if (!this.#channels[0].coefficients) break;
      } else this.#readTables(marker, content);
    }
    const frame = this.#frame;
    if (!frame) throw new ImageFault("damaged", "it holds no image");
    this.#transformBlocks();
    const readers = this.#channels.map((channel) => rowReader(frame, channel));
    return toRgba(frame, colourSpace(frame, this.#colour), readers);
  }

  #readTables(marker: number, content: Uint8Array): void {
    if (marker === Marker.DQT) this.#readQuantization(content);
    else if (marker === Marker.DHT) this.#readHuffman(content);
    else if (marker === Marker.DRI) {
      if (content.length !== 2) failLength("a restart interval");
      this.#restartInterval = content[0] << 8 | content[1];
    } else if (marker >= Marker.SOF0 && marker <= Marker.SOF2) {
      this.#frame = readFrame(marker, content);
    } else if (marker === Marker.APP0 && content.length >= 14) {
      if (startsWith(content, "JFIF\0")) this.#colour.jfif = true;
    } else if (marker === Marker.APP14 && content.length >= 12) {
      if (startsWith(content, "Adobe")) this.#colour.adobe = content[11];
    }
  }

  #readQuantization(content: Uint8Array): void {
    for (let at = 0; at < content.length;) {
      const [bytes, number] = [content[at] >> 4 ? 2 : 1, content[at] & 15];
      at++;
      if (number > 3 || at + 64 * bytes > content.length) {
        failLength("a quantisation table");
      }
      const table = new Uint16Array(64);
      for (let k = 0; k < 64; k++, at += bytes) {
        table[ZIGZAG[k]] = bytes === 1
          ? content[at]
          : content[at] << 8 | content[at + 1];
      }
      this.#quantization[number] = table;
    }
  }

  #readHuffman(content: Uint8Array): void {
    for (let at = 0; at < content.length;) {
      const [kind, number] = [content[at] >> 4, content[at] & 15];
      const counts = content.subarray(at + 1, at + 17);
      const total = counts.reduce((sum, count) => sum + count, 0);
      at += 17;
      const symbols = content.slice(at, at + total);
      at += total;
      if (kind > 1 || number > 3 || total > 256 || at > content.length) {
        failLength("a Huffman table");
      }
      this.#tables[kind][number] = huffmanTable(counts, symbols);
    }
  }

  /** Decodes a scan; returns where its data ends. */
  #readScan(content: Uint8Array, at: number): number {
    const frame = this.#frame;
    if (!frame) {
      throw new ImageFault("damaged", "a scan comes before its frame");
    }
    const scan = readScanHeader(frame, content);
    if (this.#channels.length === 0) {
      const whole = !frame.progressive &&
        scan.channels.length === frame.components.length;
      this.#channels = frame.components.map((component) =>
        makeChannel(component, !whole)
      );
    }
    for (const { index } of scan.channels) this.#beginScan(index, scan);
    const reader = new BitReader(this.#file, at);
    this.#decodeBlocks(frame, scan, reader);
    return reader.position;
  }

  /** Notes which bits a scan gives a channel, and keeps its quantisation table. */
  #beginScan(index: number, { first, last, bitsAfter }: ScanHeader): void {
    const channel = this.#channels[index];
    channel.quantization ??= this.#quantization[channel.component.table];
    if (!channel.quantization) {
      throw new ImageFault("damaged", "a quantisation table is missing");
    }
    channel.missing.fill(bitsAfter, first, last + 1);
  }

  #decodeBlocks(frame: Frame, scan: ScanHeader, reader: BitReader): void {
    const decoder = new ScanDecoder(reader, scan);
    const components = scan.channels.map(({ index }) =>
      frame.components[index]
    );
    eachBlock(unitLayout(frame, components), {
      file: this.#file,
      reader,
      height: frame.height,
      restartInterval: this.#restartInterval,
      restart: () => decoder.restart(),
      decoders: components.map((_, slot) =>
        this.#blockDecoder(decoder, scan, slot)
      ),
    });
  }

  /** Decodes a block of a scan's channel, by its column and row. */
  #blockDecoder(
    decoder: ScanDecoder,
    scan: ScanHeader,
    slot: number,
  ): BlockDecoder {
    const { index, dc, ac } = scan.channels[slot];
    const channel = this.#channels[index];
    const { coefficients, component } = channel;
    const take = this.#coefficientDecoder(decoder, scan, slot, dc, ac);
    if (coefficients) {
      return (x, y) =>
        take(coefficients, (y * component.blocksAcross + x) * 64);
    }
    const block = new Int16Array(64);
    return (x, y) => {
      block.fill(0);
      take(block, 0);
      transformInto(channel, block, 0, x, y);
    };
  }

  #coefficientDecoder(
    decoder: ScanDecoder,
    { first, bitsBefore }: ScanHeader,
    slot: number,
    dc: number,
    ac: number,
  ): (block: Int16Array, at: number) => void {
    if (!this.#frame!.progressive) {
      const [dcTable, acTable] = [this.#table(0, dc), this.#table(1, ac)];
      return (block, at) =>
        decoder.sequential(slot, dcTable, acTable, block, at);
    }
    if (first > 0) {
      const acTable = this.#table(1, ac);
      return bitsBefore === 0
        ? (block, at) => decoder.firstAc(acTable, block, at)
        : (block, at) => decoder.refineAc(acTable, block, at);
    }
    if (bitsBefore > 0) return (block, at) => decoder.refineDc(block, at);
    const dcTable = this.#table(0, dc);
    return (block, at) => decoder.firstDc(slot, dcTable, block, at);
  }

  #table(kind: number, number: number): HuffmanTable {
    const table = this.#tables[kind][number];
    if (!table) throw new ImageFault("damaged", "a Huffman table is missing");
    return table;
  }

  /** Transforms the blocks that several scans have filled. */
  #transformBlocks(): void {
    if (this.#channels.length === 0) {
      throw new ImageFault("cut", "it has no scan");
    }
    for (const channel of this.#channels) {
      const { coefficients, component, missing } = channel;
      if (missing.subarray(0, NEEDED_COEFFICIENTS).some((bits) => bits !== 0)) {
        throw new ImageFault("cut", "its last scans are missing");
      }
      if (!coefficients) continue;
      for (let y = 0, at = 0; y < component.blocksDown; y++) {
        for (let x = 0; x < component.blocksAcross; x++, at += 64) {
          transformInto(channel, coefficients, at, x, y);
        }
      }
    }
  }
}

function makeChannel(component: Component, severalScans: boolean): Channel {
  const size = component.blocksAcross * component.blocksDown * 64;
  return {
    component,
    samples: new Uint8ClampedArray(size),
    coefficients: severalScans ? new Int16Array(size) : undefined,
    missing: new Int8Array(64).fill(-1),
  };
}

function transformInto(
  { component, samples, quantization }: Channel,
  block: Int16Array,
  at: number,
  x: number,
  y: number,
): void {
  const stride = component.blocksAcross * 8;
  const to = y * 8 * stride + x * 8;
  inverseTransform(block, at, quantization!, samples, to, stride);
}

function failLength(what: string): never {
  throw new ImageFault("damaged", `${what} has a wrong length`);
}
