/**
 * Textures as plain memory: 16 bytes a texel, numbered row by row.
 *
 * What a shader loads from a storage texture is fetched 16 bytes at a time, also
 * by an adapter that is a CPU, where every component of a load from a
 * buffer is a branch a lane. A texture is as wide as a power of two, so that a
 * shader finds texel t at (t mod width, t / width) with a mask and a shift.
 *
 * @module
 */

/** Bytes of a texel. */
export const TEXEL_BYTES = 16;

/** What every texture here stores: four words, floats among them by their bits. */
export const TEXEL_FORMAT = "rgba32uint";

/** log₂ of the widest texture, which is also that of scratch. */
export const SCRATCH_SHIFT = 12;
/** log₂ of the narrowest: what is read together lies in one row. */
const NARROWEST = 5;

/** How a texture's texels lie. */
export interface TexelShape {
  /** Texels of a row: 2 ** shift. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** log₂ of the width. */
  readonly shift: number;
}

/** The shape of the scratch texture that a plan's ops share: as wide as can be. */
export function scratchShape(texels: number): TexelShape {
  return shapeOf(texels, SCRATCH_SHIFT);
}

/** The shape of a texture for so many texels: about a square, so that little is lost. */
export function texelShape(texels: number): TexelShape {
  const shift = Math.ceil(Math.log2(Math.max(1, texels)) / 2);
  return shapeOf(texels, Math.min(SCRATCH_SHIFT, Math.max(NARROWEST, shift)));
}

function shapeOf(texels: number, shift: number): TexelShape {
  const width = 2 ** shift;
  return { width, height: Math.max(1, Math.ceil(texels / width)), shift };
}

/** Bytes of a texture of a shape. */
export function shapeBytes({ width, height }: TexelShape): number {
  return width * height * TEXEL_BYTES;
}

/** A texture, and how shaders see it. */
export interface TexelSlice {
  /** The texture. */
  readonly texture: GPUTexture;
  /** All of it. */
  readonly view: GPUTextureView;
}

/**
 * Writes bytes from some texel on.
 *
 * @param start where, in bytes: a multiple of 16
 * @param bytes as many as whole texels have
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
    // Whole rows, or a part of one.
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
