/**
 * Felzenszwalb's histograms of oriented gradients (PAMI 2010), as dlib computes
 * them: 31 features for each cell of 8 × 8 pixels.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import { CELL, PLANES, WINDOW } from "./detector_model.ts";
import type { GrayImage } from "./gray.ts";

/** Directions over the full circle; half of them without a sign. */
const DIRECTIONS = 18;
const UNSIGNED = DIRECTIONS / 2;
/** Cells of zeros before the first, so that windows may reach over the edge. */
export const MARGIN: number = Math.floor((WINDOW - 1) / 2);
/** Differences of two pixels: −255..255. */
const DIFFERENCES = 511;

/** Features of one image. */
export interface Features {
  /** Cells a row, margins included. */
  readonly width: number;
  /** Rows of cells, margins included. */
  readonly height: number;
  /** (31, height, width); f64 only because it is faster to compute with. */
  readonly planes: Float64Array;
}

/**
 * Computes the features of an image, with margins of zeros that let the
 * {@linkcode WINDOW} reach over each edge by half.
 *
 * @param pauser when to pause
 * @returns undefined where the image is too small for a cell
 * @throws {MasterWeaverError} `aborted`
 */
export async function computeFeatures(
  image: GrayImage,
  pauser: Pauser = new Pauser(),
): Promise<Features | undefined> {
  const rows = Math.trunc(image.height / CELL + 0.5);
  const columns = Math.trunc(image.width / CELL + 0.5);
  // The outermost cells only serve to normalise their neighbours.
  if (rows <= 2 || columns <= 2) return undefined;
  const votes = await vote(image, rows, columns, pauser);
  const energy = energyOf(votes, rows, columns);
  const width = columns - 2 + WINDOW - 1;
  const height = rows - 2 + WINDOW - 1;
  const planes = new Float64Array(PLANES * width * height);
  const limits = new Float64Array(4);
  for (let row = 0; row < rows - 2; row++) {
    if (pauser.isDue) await pauser.pause();
    normaliseRow(
      votes,
      energy,
      columns,
      limits,
      { width, height, planes },
      row,
    );
  }
  return { width, height, planes };
}

/** The features of a row of cells. */
function normaliseRow(
  votes: Float32Array,
  energy: Float64Array,
  columns: number,
  limits: Float64Array,
  { width, height, planes }: Features,
  row: number,
): void {
  for (let column = 0; column < columns - 2; column++) {
    limitsAround(energy, (row + 1) * columns + column + 1, columns, limits);
    normalise(
      votes,
      ((row + 2) * (columns + 2) + column + 2) * DIRECTIONS,
      limits,
      planes,
      (row + MARGIN) * width + column + MARGIN,
      width * height,
    );
  }
}

/** Direction and length of every gradient, by its two differences. */
interface GradientTable {
  /** 0..17; at `(gy + 255) * 511 + gx + 255`. */
  readonly direction: Uint8Array;
  /** √(gx² + gy²). */
  readonly length: Float32Array;
}

let gradients: GradientTable | undefined;

/** The table, made once: there are only 511² gradients. */
function gradientTable(): GradientTable {
  if (gradients) return gradients;
  const { fround } = Math;
  const cosines = new Float32Array(UNSIGNED);
  const sines = new Float32Array(UNSIGNED);
  // With four digits, as in the original.
  cosines.set([1, .9397, .7660, .5, .1736, -.1736, -.5, -.7660, -.9397]);
  sines.set([0, .3420, .6428, .8660, .9848, .9848, .8660, .6428, .3420]);
  const direction = new Uint8Array(DIFFERENCES ** 2);
  const length = new Float32Array(DIFFERENCES ** 2);
  for (let at = 0; at < direction.length; at++) {
    const gx = at % DIFFERENCES - 255;
    const gy = Math.floor(at / DIFFERENCES) - 255;
    let best = 0;
    for (let o = 0; o < UNSIGNED; o++) {
      const dot = fround(fround(gx * cosines[o]) + fround(gy * sines[o]));
      if (dot > best) {
        best = dot;
        direction[at] = o;
      } else if (-dot > best) {
        best = -dot;
        direction[at] = o + UNSIGNED;
      }
    }
    length[at] = Math.sqrt(gx * gx + gy * gy);
  }
  return gradients = { direction, length };
}

/**
 * Every pixel's gradient votes for its direction in the four nearest cells, with
 * bilinear weights.
 *
 * @returns (rows + 2, columns + 2, 18): with one more cell on each side
 */
async function vote(
  image: GrayImage,
  rows: number,
  columns: number,
  pauser: Pauser,
): Promise<Float32Array> {
  const { width, height } = image;
  const table = gradientTable();
  const stride = (columns + 2) * DIRECTIONS;
  const votes = new Float32Array((rows + 2) * stride);
  const endY = Math.min(rows * CELL, height) - 1;
  const endX = Math.min(columns * CELL, width) - 1;
  for (let y = 1; y < endY; y++) {
    if (pauser.isDue) await pauser.pause();
    voteRow(image, y, endX, table, votes, stride);
  }
  return votes;
}

/** The votes of a row's pixels before column `endX`. */
function voteRow(
  { width, data }: GrayImage,
  y: number,
  endX: number,
  { direction, length }: GradientTable,
  votes: Float32Array,
  stride: number,
): void {
  // Eighths are exact, so f64 and f32 agree here.
  const cellY = (y + 0.5) / CELL - 0.5;
  const firstY = Math.floor(cellY);
  const toLower = cellY - firstY;
  const toUpper = 1 - toLower;
  const rowOfVotes = (firstY + 1) * stride;
  for (let x = 1, at = y * width + 1; x < endX; x++, at++) {
    const gx = data[at + 1] - data[at - 1];
    const gy = data[at + width] - data[at - width];
    const gradient = (gy + 255) * DIFFERENCES + gx + 255;
    const cellX = (x + 0.5) / CELL - 0.5;
    const firstX = Math.floor(cellX);
    const right = length[gradient] * (cellX - firstX);
    const left = length[gradient] - right;
    const bin = rowOfVotes + (firstX + 1) * DIRECTIONS + direction[gradient];
    votes[bin] += toUpper * left;
    votes[bin + DIRECTIONS] += toUpper * right;
    votes[bin + stride] += toLower * left;
    votes[bin + stride + DIRECTIONS] += toLower * right;
  }
}

/** The squared length of each cell's unsigned histogram, (rows, columns). */
function energyOf(
  votes: Float32Array,
  rows: number,
  columns: number,
): Float64Array {
  const energy = new Float64Array(rows * columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      const bin = ((row + 1) * (columns + 2) + column + 1) * DIRECTIONS;
      let sum = 0;
      for (let o = bin; o < bin + UNSIGNED; o++) {
        const both = votes[o] + votes[o + UNSIGNED];
        sum += both * both;
      }
      energy[at] = sum;
    }
  }
  return energy;
}

/** The limits that votes are clipped to: a fifth of the norm of each block of 2 × 2 cells. */
function limitsAround(
  energy: Float64Array,
  at: number,
  columns: number,
  limits: Float64Array,
): void {
  const above = at - columns;
  const below = at + columns;
  const middle = energy[at];
  const epsilon = 1e-4;
  const belowRight = middle + energy[at + 1] + energy[below] +
    energy[below + 1];
  const aboveRight = middle + energy[at + 1] + energy[above] +
    energy[above + 1];
  const belowLeft = middle + energy[at - 1] + energy[below] + energy[below - 1];
  const aboveLeft = middle + energy[at - 1] + energy[above] + energy[above - 1];
  limits[0] = 0.2 * Math.sqrt(belowRight + epsilon);
  limits[1] = 0.2 * Math.sqrt(aboveRight + epsilon);
  limits[2] = 0.2 * Math.sqrt(belowLeft + epsilon);
  limits[3] = 0.2 * Math.sqrt(aboveLeft + epsilon);
}

/**
 * The 31 features of a cell: its votes under each block's limit.
 *
 * @param bin where the cell's votes start
 * @param at the cell's index in a plane
 * @param plane how many values a plane has
 */
function normalise(
  votes: Float32Array,
  bin: number,
  limits: Float64Array,
  planes: Float64Array,
  at: number,
  plane: number,
): void {
  const [l0, l1, l2, l3] = limits;
  const n0 = 0.1 / l0;
  const n1 = 0.1 / l1;
  const n2 = 0.1 / l2;
  const n3 = 0.1 / l3;
  let t0 = 0, t1 = 0, t2 = 0, t3 = 0;
  for (let o = 0; o < DIRECTIONS; o++) {
    const h = votes[bin + o];
    const h0 = Math.min(h, l0) * n0;
    const h1 = Math.min(h, l1) * n1;
    const h2 = Math.min(h, l2) * n2;
    const h3 = Math.min(h, l3) * n3;
    planes[o * plane + at] = h0 + h1 + h2 + h3;
    t0 += h0;
    t1 += h1;
    t2 += h2;
    t3 += h3;
  }
  for (let o = 0; o < UNSIGNED; o++) {
    const h = votes[bin + o] + votes[bin + o + UNSIGNED];
    planes[(DIRECTIONS + o) * plane + at] = Math.min(h, l0) * n0 +
      Math.min(h, l1) * n1 + Math.min(h, l2) * n2 + Math.min(h, l3) * n3;
  }
  const texture = (DIRECTIONS + UNSIGNED) * plane + at;
  planes[texture] = 0.4714 * t0;
  planes[texture + plane] = 0.4714 * t1;
  planes[texture + 2 * plane] = 0.4714 * t2;
  planes[texture + 3 * plane] = 0.4714 * t3;
}
