/**
 * The segments of a JPEG file, and a summary to check it by before decoding:
 * its size, its coding, its EXIF data, and where it ends.
 *
 * @module
 */
import { joinBytes, startsWith } from "./bytes.ts";

/** What the segments of a JPEG file say. */
export interface JpegSummary {
  /** Pixels a row; 0 where no frame was found. */
  width: number;
  /** Rows. */
  height: number;
  /** Why the file cannot be decoded, where the frame says so. */
  unsupported?: string;
  /** Bytes of coded pixels, over all scans. */
  codedBytes: number;
  /** How many scans there are: over ten only in unusual files. */
  scans: number;
  /** EXIF data, joined from all segments, without the segments' name. */
  exif?: Uint8Array;
  /** XMP data, without its name. */
  xmp?: Uint8Array;
  /** Where the end marker ends; undefined where the file is cut off. */
  end?: number;
}

/** The second bytes of markers; the first is FF. */
export const Marker = {
  TEM: 0x01,
  SOF0: 0xc0,
  SOF2: 0xc2,
  DHT: 0xc4,
  RST0: 0xd0,
  SOI: 0xd8,
  EOI: 0xd9,
  SOS: 0xda,
  DQT: 0xdb,
  DRI: 0xdd,
  APP0: 0xe0,
  APP1: 0xe1,
  APP14: 0xee,
} as const;

const EXIF = "Exif\0\0";
/** Segments of EXIF data that are joined: far more than programs write. */
const MOST_EXIF = 256;
const XMP = "http://ns.adobe.com/xap/1.0/\0";

/** One segment of a JPEG file. */
export interface JpegSegment {
  /** The second byte of its marker. */
  readonly marker: number;
  /** What follows its length; empty for the end marker. */
  readonly content: Uint8Array;
}

/** Iterates over the segments of a file that starts with a JPEG's first marker. */
export class JpegSegments {
  readonly #file: Uint8Array;
  /** Where the search for the next marker starts; move it past a scan's data. */
  position = 2;

  /** Starts at the beginning. */
  constructor(file: Uint8Array) {
    this.#file = file;
  }

  /** The next segment; undefined where the file does not hold all of it. */
  next(): JpegSegment | undefined {
    const file = this.#file;
    while (true) {
      const at = JpegSegments.nextMarker(file, this.position);
      if (at < 0) return undefined;
      const marker = file[at + 1];
      this.position = at + 2;
      if (marker === Marker.EOI) {
        return { marker, content: file.subarray(at + 2, at + 2) };
      }
      if (
        marker === Marker.SOI || marker === Marker.TEM || isRestart(marker)
      ) continue;
      if (at + 4 > file.length) return undefined;
      const length = (file[at + 2] << 8) | file[at + 3];
      const end = at + 2 + length;
      if (length < 2 || end > file.length) return undefined;
      this.position = end;
      return { marker, content: file.subarray(at + 4, end) };
    }
  }

  /** Where the next marker begins, past fill and stray bytes; −1 for none. */
  static nextMarker(file: Uint8Array, at: number): number {
    while (true) {
      at = file.indexOf(0xff, at);
      if (at < 0 || at + 1 >= file.length) return -1;
      if (file[at + 1] !== 0x00 && file[at + 1] !== 0xff) return at;
      at++;
    }
  }
}

/** Summarises a file that starts with a JPEG's first marker. */
export function summarizeJpeg(file: Uint8Array): JpegSummary {
  const summary: JpegSummary = {
    width: 0,
    height: 0,
    codedBytes: 0,
    scans: 0,
  };
  const exif: Uint8Array[] = [];
  const segments = new JpegSegments(file);
  for (let next = segments.next(); next; next = segments.next()) {
    const { marker, content } = next;
    if (marker === Marker.EOI) {
      summary.end = segments.position;
      break;
    }
    if (isFrame(marker)) readFrame(summary, marker, content);
    // Metadata after the first scan is a preview's, if anything's.
    if (marker === Marker.APP1 && summary.scans === 0) {
      if (exif.length < MOST_EXIF && startsWith(content, EXIF)) {
        exif.push(content.subarray(EXIF.length));
      }
      if (startsWith(content, XMP)) summary.xmp = content.subarray(XMP.length);
    }
    if (marker === Marker.SOS) {
      const start = segments.position;
      segments.position = scanEnd(file, start);
      summary.codedBytes += segments.position - start;
      summary.scans++;
    }
  }
  // EXIF data longer than a segment continues in the next.
  if (exif.length > 0) summary.exif = joinBytes(exif);
  return summary;
}

/** Where coded pixels end: at a marker other than a restart. */
function scanEnd(file: Uint8Array, at: number): number {
  while (true) {
    at = JpegSegments.nextMarker(file, at);
    if (at < 0) return file.length;
    if (!isRestart(file[at + 1])) return at;
    at += 2;
  }
}

/** Whether a marker is one of the eight that divide a scan. */
export function isRestart(marker: number): boolean {
  return marker >= Marker.RST0 && marker <= Marker.RST0 + 7;
}

/** SOF0..SOF15, without the three that are something else. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf &&
    marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function readFrame(
  summary: JpegSummary,
  marker: number,
  content: Uint8Array,
): void {
  if (content.length < 6) {
    summary.unsupported ??= "a frame header that is too short";
    return;
  }
  if (summary.width !== 0) summary.unsupported ??= "several frames";
  const [precision, , , , , components] = content;
  summary.height = (content[1] << 8) | content[2];
  summary.width = (content[3] << 8) | content[4];
  if (summary.height === 0) {
    summary.unsupported ??=
      "a height of 0 in its header, left to a later DNL marker";
  }
  if (marker > 0xc2) {
    summary.unsupported ??= marker >= 0xc9
      ? "arithmetic coding"
      : "lossless or hierarchical coding";
  }
  if (precision !== 8) summary.unsupported ??= `${precision} bits a channel`;
  if (components !== 1 && components !== 3 && components !== 4) {
    summary.unsupported ??= `${components} channels`;
  }
  if (content.length < 6 + 3 * components) {
    summary.unsupported ??= "a frame header that is too short";
  }
  for (let i = 7; i < content.length; i += 3) {
    const [across, down] = [content[i] >> 4, content[i] & 15];
    if (across < 1 || across > 4 || down < 1 || down > 4) {
      summary.unsupported ??= `channels sampled ${across}x${down}`;
    }
  }
}
