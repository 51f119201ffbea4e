/**
 * Textures as plain memory: 16 bytes per texel, numbered row by row.
 *
 * A load from a storage texture fetches 16 bytes at once even on a software
 * adapter, where a load from a buffer costs one branch per lane and vector
 * component. The width is a power of two, so that a shader finds texel t at
 * (t mod width, t / width) with a mask and a shift.
 *
 * @module
 */

/** Bytes of a texel. */
export const TEXEL_BYTES = 16;

/** Format of every texture here: four 32-bit words; floats are stored by their bits. */
export const TEXEL_FORMAT = "rgba32uint";

/** log₂ of the largest width, which scratch textures have. */
export const SCRATCH_SHIFT = 12;
/** log₂ of the smallest width: texels that are read together share a row. */
const MIN_SHIFT = 5;

/** Size of a texture, in texels. */
export interface TexelShape {
  /** Texels per row: 2 ** shift. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** log₂ of the width. */
  readonly shift: number;
}

/** The shape of a scratch texture that a plan's ops share: the largest width. */
export function scratchShape(texels: number): TexelShape {
  return shapeOf(texels, SCRATCH_SHIFT);
}

/** The shape of a texture with room for `texels`: nearly square, to waste little of the last row. */
export function texelShape(texels: number): TexelShape {
  const shift = Math.ceil(Math.log2(Math.max(1, texels)) / 2);
  return shapeOf(texels, Math.min(SCRATCH_SHIFT, Math.max(MIN_SHIFT, shift)));
}

function shapeOf(texels: number, shift: number): TexelShape {
  const width = 2 ** shift;
  return { width, height: Math.max(1, Math.ceil(texels / width)), shift };
}

/** Bytes of a texture of a shape. */
export function shapeBytes({ width, height }: TexelShape): number {
  return width * height * TEXEL_BYTES;
}

/** A texture and the view to bind. */
export interface TexelSlice {
  /** The texture. */
  readonly texture: GPUTexture;
  /** A view of all of it. */
  readonly view: GPUTextureView;
}

/**
 * Writes whole texels.
 *
 * @param start offset in bytes, a multiple of 16
 * @param bytes a multiple of 16 bytes
 */
export function writeTexels(
  queue: GPUQueue,
  texture: GPUTexture,
  start: number,
  bytes: Uint8Array<ArrayBuffer>,
): void {
  const { width } = texture;
  let texel = start / TEXEL_BYTES;
  while (bytes.length > 0) {
    const count = bytes.length / TEXEL_BYTES;
    const x = texel % width;
    const rows = x === 0 ? Math.floor(count / width) : 0;
    // Whole rows, or part of one.
    const across = rows > 0 ? width : Math.min(width - x, count);
    const down = Math.max(1, rows);
    const length = across * down * TEXEL_BYTES;
    queue.writeTexture(
      { texture, origin: [x, Math.floor(texel / width)] },
      bytes.subarray(0, length),
      { bytesPerRow: across * TEXEL_BYTES },
      [across, down],
    );
    texel += across * down;
    bytes = bytes.subarray(length);
  }
}
