/**
 * A JPEG file as its segments, as far as needed to judge it before decoding:
 * its size, its coding, its EXIF data, and where it ends.
 *
 * @module
 */

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
  /** The content of the EXIF segment, after its name. */
  exif?: Uint8Array;
  /** Where the end marker ends; undefined where the file is cut off. */
  end?: number;
}

const SOI = 0xd8, EOI = 0xd9, SOS = 0xda, APP1 = 0xe1, TEM = 0x01;

/** Goes through the segments of a file that starts with a JPEG's first marker. */
export function summarizeJpeg(file: Uint8Array): JpegSummary {
  const summary: JpegSummary = {
    width: 0,
    height: 0,
    codedBytes: 0,
    scans: 0,
  };
  let at = 2;
  while (true) {
    at = nextMarker(file, at);
    if (at < 0) return summary;
    const marker = file[at + 1];
    at += 2;
    if (marker === EOI) {
      summary.end = at;
      return summary;
    }
    if (marker === SOI || marker === TEM || isRestart(marker)) continue;
    if (at + 2 > file.length) return summary;
    const length = (file[at] << 8) | file[at + 1];
    if (length < 2 || at + length > file.length) return summary;
    const content = file.subarray(at + 2, at + length);
    at += length;
    if (isFrame(marker)) readFrame(summary, marker, content);
    if (marker === APP1 && startsWith(content, "Exif\0\0")) {
      summary.exif ??= content.subarray(6);
    }
    if (marker === SOS) {
      const start = at;
      at = scanEnd(file, at);
      summary.codedBytes += at - start;
      summary.scans++;
    }
  }
}

/** Where the next marker begins, past fill bytes and strays; -1 for none. */
function nextMarker(file: Uint8Array, at: number): number {
  while (true) {
    at = file.indexOf(0xff, at);
    if (at < 0 || at + 1 >= file.length) return -1;
    if (file[at + 1] !== 0x00 && file[at + 1] !== 0xff) return at;
    at++;
  }
}

/** Where coded pixels end: at a marker other than a restart. */
function scanEnd(file: Uint8Array, at: number): number {
  while (true) {
    at = nextMarker(file, at);
    if (at < 0) return file.length;
    if (!isRestart(file[at + 1])) return at;
    at += 2;
  }
}

function isRestart(marker: number): boolean {
  return marker >= 0xd0 && marker <= 0xd7;
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

function startsWith(bytes: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (bytes[i] !== text.charCodeAt(i)) return false;
  }
  return true;
}
