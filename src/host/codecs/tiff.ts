/**
 * The part of TIFF that EXIF data is written in: a header and directories of
 * fields.
 *
 * Nothing is trusted: a field whose value is outside the data counts as absent,
 * and a directory is read as far as it goes.
 *
 * @module
 */

/** One field of a directory. */
export interface TiffField {
  /** What its values are: 3 is a 16-bit number, 7 bytes of any meaning, … */
  readonly type: number;
  /** Its values, as in the file. */
  readonly bytes: Uint8Array;
}

/** TIFF data whose header makes sense. */
export interface Tiff {
  /** Everything from the header on. */
  readonly bytes: Uint8Array;
  /** Whether numbers have their low byte first. */
  readonly little: boolean;
  /** Where the first directory begins. */
  readonly directory: number;
}

/** Bytes of a value, by type; no standard has other types. */
const VALUE_BYTES: Readonly<Record<number, number>> = {
  1: 1, // bytes
  2: 1, // ASCII
  3: 2, // unsigned
  4: 4,
  5: 8, // unsigned fraction
  6: 1, // signed
  7: 1, // undefined
  8: 2,
  9: 4,
  10: 8, // signed fraction
  11: 4, // float
  12: 8, // double
  13: 4, // offset of a directory
  16: 8, // unsigned, from BigTIFF
};

/** Reads the header; undefined where it is none. */
export function openTiff(bytes: Uint8Array): Tiff | undefined {
  if (bytes.length < 8) return undefined;
  const view = viewOf(bytes);
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return undefined;
  const little = order === 0x4949;
  // Some writers store this number, 42, in the other byte order.
  const magic = view.getUint16(2);
  if (magic !== 42 && magic !== 42 << 8) return undefined;
  return { bytes, little, directory: view.getUint32(4, little) };
}

/**
 * Finds a field.
 *
 * @param tiff opened data
 * @param directory where the directory begins
 * @param tag the field's number
 * @returns the first that can be read; undefined where there is none
 */
export function findField(
  { bytes, little }: Tiff,
  directory: number,
  tag: number,
): TiffField | undefined {
  if (directory + 2 > bytes.length) return undefined;
  const view = viewOf(bytes);
  const count = view.getUint16(directory, little);
  for (let i = 0; i < count; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > bytes.length) return undefined;
    if (view.getUint16(entry, little) !== tag) continue;
    const type = view.getUint16(entry + 2, little);
    const size = view.getUint32(entry + 4, little) * (VALUE_BYTES[type] ?? 0);
    // A value of up to four bytes is stored in the entry itself.
    const start = size <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
    if (size === 0 || start + size > bytes.length) continue;
    return { type, bytes: bytes.subarray(start, start + size) };
  }
  return undefined;
}

/**
 * The first value of a field as a number.
 *
 * @returns undefined for bytes, text and bytes of undefined meaning
 */
export function fieldNumber(
  { little }: Tiff,
  { type, bytes }: TiffField,
): number | undefined {
  const view = viewOf(bytes);
  switch (type) {
    case 3:
      return view.getUint16(0, little);
    case 4:
    case 13:
      return view.getUint32(0, little);
    case 5:
      return view.getUint32(0, little) / view.getUint32(4, little);
    case 6:
      return view.getInt8(0);
    case 8:
      return view.getInt16(0, little);
    case 9:
      return view.getInt32(0, little);
    case 10:
      return view.getInt32(0, little) / view.getInt32(4, little);
    case 11:
      return view.getFloat32(0, little);
    case 12:
      return view.getFloat64(0, little);
    case 16:
      return Number(view.getBigUint64(0, little));
    default:
      return undefined;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
