/**
 * Overlapping tiles of an image or of latents: where they lie, and how what was
 * computed of each is blended, as diffusers' `AutoencoderKL` does with
 * `enable_tiling`.
 *
 * @module
 */

/** How something is cut into tiles, along either axis. */
export interface TileRule {
  /** Rows and columns of a tile; those at the right and bottom may have fewer. */
  readonly size: number;
  /** From the start of one tile to that of the next. */
  readonly step: number;
  /** Rows and columns of a result that are blended with those of the tile before. */
  readonly blend: number;
  /** Rows and columns of a result that are kept; what follows is the next tile's. */
  readonly kept: number;
}

/** diffusers' `tile_overlap_factor`. */
const OVERLAP = 0.25;

/**
 * Tiles of latents, from which pixels are made.
 *
 * @param sampleSize pixels along a tile's side, `sample_size` of the autoencoder's config
 * @param factor pixels for each of the latents along a side
 */
export function decodingTiles(sampleSize: number, factor: number): TileRule {
  const size = Math.trunc(sampleSize / factor);
  const blend = Math.trunc(sampleSize * OVERLAP);
  return {
    size,
    step: Math.trunc(size * (1 - OVERLAP)),
    blend,
    kept: sampleSize - blend,
  };
}

/** Tiles of pixels, from which latents are made; see {@linkcode decodingTiles}. */
export function encodingTiles(sampleSize: number, factor: number): TileRule {
  const latents = Math.trunc(sampleSize / factor);
  const blend = Math.trunc(latents * OVERLAP);
  return {
    size: sampleSize,
    step: Math.trunc(sampleSize * (1 - OVERLAP)),
    blend,
    kept: latents - blend,
  };
}

/** Rows and columns. */
export interface Extent {
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
}

/** A tile of what is cut. */
export interface TilePlace extends Extent {
  /** First row. */
  readonly top: number;
  /** First column. */
  readonly left: number;
  /** Number of its row of tiles, from 0. */
  readonly row: number;
  /** Number of its column of tiles, from 0. */
  readonly column: number;
}

/** The tiles of something, row by row. */
export function tilePlaces(
  whole: Extent,
  { size, step }: TileRule,
): TilePlace[] {
  const places: TilePlace[] = [];
  for (let row = 0, top = 0; top < whole.height; row++, top += step) {
    for (let column = 0, left = 0; left < whole.width; column++, left += step) {
      places.push({
        top,
        left,
        row,
        column,
        height: Math.min(size, whole.height - top),
        width: Math.min(size, whole.width - left),
      });
    }
  }
  return places;
}

/** Whether something is cut into more than one tile. */
export function isCut({ height, width }: Extent, { size }: TileRule): boolean {
  return height > size || width > size;
}

/** Values (rows, columns, channels). */
export interface TileValues extends Extent {
  /** Row by row, channels last. */
  readonly data: Float32Array;
}

/** A tile's values out of a whole's. */
export function cutTile(
  { width, data }: TileValues,
  channels: number,
  place: TilePlace,
): Float32Array<ArrayBuffer> {
  const rowLength = place.width * channels;
  const tile = new Float32Array(place.height * rowLength);
  for (let row = 0; row < place.height; row++) {
    const start = ((place.top + row) * width + place.left) * channels;
    tile.set(data.subarray(start, start + rowLength), row * rowLength);
  }
  return tile;
}

/**
 * Puts results of tiles together, given in the order of {@linkcode tilePlaces}.
 * Only the row of tiles above is kept.
 */
export class TileBlender {
  readonly #rule: TileRule;
  readonly #channels: number;
  readonly #whole: Extent;
  readonly #write: (index: number, values: Float32Array) => void;
  #above: TileValues[] = [];
  #row: TileValues[] = [];

  /**
   * Nothing put together yet.
   *
   * @param rule how it was cut
   * @param whole rows and columns of the result
   * @param channels of the result
   * @param write receives values in their places: the index of the first pixel, and (pixels, channels)
   */
  constructor(
    rule: TileRule,
    whole: Extent,
    channels: number,
    write: (index: number, values: Float32Array) => void,
  ) {
    this.#rule = rule;
    this.#whole = whole;
    this.#channels = channels;
    this.#write = write;
  }

  /** Takes the result of the next tile, whose values are changed. */
  add({ row, column }: TilePlace, tile: TileValues): void {
    if (column === 0) {
      this.#above = this.#row;
      this.#row = [];
    }
    const { blend, kept } = this.#rule;
    const channels = this.#channels;
    if (row > 0) blendRows(this.#above[column], tile, blend, channels);
    if (column > 0) blendColumns(this.#row[column - 1], tile, blend, channels);
    this.#row[column] = tile;
    const columns = Math.min(tile.width, kept);
    const rowLength = tile.width * channels;
    for (let y = 0; y < Math.min(tile.height, kept); y++) {
      this.#write(
        (row * kept + y) * this.#whole.width + column * kept,
        tile.data.subarray(y * rowLength, y * rowLength + columns * channels),
      );
    }
  }
}

/** diffusers' `blend_v`: the first rows of `b` fade in over the last of `a`. */
function blendRows(
  a: TileValues,
  b: TileValues,
  most: number,
  channels: number,
) {
  const extent = Math.min(a.height, b.height, most);
  const rowLength = Math.min(a.width, b.width) * channels;
  for (let y = 0; y < extent; y++) {
    const from = (a.height - extent + y) * a.width * channels;
    const to = y * b.width * channels;
    for (let i = 0; i < rowLength; i++) {
      b.data[to + i] = mix(a.data[from + i], b.data[to + i], y / extent);
    }
  }
}

/** diffusers' `blend_h`: the first columns of `b` fade in over the last of `a`. */
function blendColumns(
  a: TileValues,
  b: TileValues,
  most: number,
  channels: number,
) {
  const extent = Math.min(a.width, b.width, most);
  for (let y = 0; y < Math.min(a.height, b.height); y++) {
    for (let x = 0; x < extent; x++) {
      const from = (y * a.width + a.width - extent + x) * channels;
      const to = (y * b.width + x) * channels;
      for (let c = 0; c < channels; c++) {
        b.data[to + c] = mix(a.data[from + c], b.data[to + c], x / extent);
      }
    }
  }
}

function mix(a: number, b: number, share: number): number {
  return a * (1 - share) + b * share;
}
