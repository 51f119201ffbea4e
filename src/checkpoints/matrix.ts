/**
 * Products of large matrices on the CPU, in f64.
 *
 * @module
 */

/** Columns multiplied at a time, so that the rows of both stay in the cache. */
const CHUNK = 256;

/**
 * (rows, inner) · (others, inner)ᵀ; where both are one matrix, only half of the
 * symmetric product is computed.
 *
 * @returns (rows, others)
 */
export function timesTransposed(
  left: Float32Array | Float64Array,
  rows: number,
  right: Float32Array | Float64Array,
  others: number,
  inner: number,
): Float64Array {
  const isSymmetric = left === right;
  const product = new Float64Array(rows * others);
  const own = new Float64Array(rows * CHUNK);
  const theirs = isSymmetric ? own : new Float64Array(others * CHUNK);
  for (let start = 0; start < inner; start += CHUNK) {
    const width = Math.min(CHUNK, inner - start);
    gather(left, rows, inner, start, width, own);
    if (!isSymmetric) gather(right, others, inner, start, width, theirs);
    addProducts(own, rows, theirs, others, width, product, isSymmetric);
  }
  if (isSymmetric) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < i; j++) product[j * rows + i] = product[i * rows + j];
    }
  }
  return product;
}

/** Copies a range of columns, `width` of them, as the first of CHUNK. */
function gather(
  from: Float32Array | Float64Array,
  rows: number,
  inner: number,
  start: number,
  width: number,
  to: Float64Array,
): void {
  for (let row = 0; row < rows; row++) {
    const at = row * inner + start;
    to.set(from.subarray(at, at + width), row * CHUNK);
  }
}

/** Adds the products of rows, in tiles of 2 × 4: each value loaded is used often. */
function addProducts(
  a: Float64Array,
  rows: number,
  b: Float64Array,
  others: number,
  width: number,
  product: Float64Array,
  isSymmetric: boolean,
): void {
  for (let i = 0; i < rows; i += 2) {
    const end = isSymmetric ? Math.min(others, i + 2) : others;
    for (let j = 0; j < end; j += 4) {
      if (i + 2 <= rows && j + 4 <= others) {
        addTile(a, i, b, j, width, product, others);
      } else {
        addEdge(a, i, rows, b, j, others, width, product);
      }
    }
  }
}

function addTile(
  a: Float64Array,
  i: number,
  b: Float64Array,
  j: number,
  width: number,
  product: Float64Array,
  stride: number,
): void {
  const a0 = i * CHUNK;
  const a1 = a0 + CHUNK;
  const b0 = j * CHUNK;
  const [b1, b2, b3] = [b0 + CHUNK, b0 + 2 * CHUNK, b0 + 3 * CHUNK];
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0;
  let s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  for (let k = 0; k < width; k++) {
    const x = a[a0 + k];
    const y = a[a1 + k];
    const p = b[b0 + k];
    const q = b[b1 + k];
    const r = b[b2 + k];
    const s = b[b3 + k];
    s00 += x * p;
    s01 += x * q;
    s02 += x * r;
    s03 += x * s;
    s10 += y * p;
    s11 += y * q;
    s12 += y * r;
    s13 += y * s;
  }
  const first = i * stride + j;
  const second = first + stride;
  product[first] += s00;
  product[first + 1] += s01;
  product[first + 2] += s02;
  product[first + 3] += s03;
  product[second] += s10;
  product[second + 1] += s11;
  product[second + 2] += s12;
  product[second + 3] += s13;
}

/** What is left at the edges, product by product. */
function addEdge(
  a: Float64Array,
  i: number,
  rows: number,
  b: Float64Array,
  j: number,
  others: number,
  width: number,
  product: Float64Array,
): void {
  for (let row = i; row < Math.min(i + 2, rows); row++) {
    for (let other = j; other < Math.min(j + 4, others); other++) {
      let sum = 0;
      for (let k = 0; k < width; k++) {
        sum += a[row * CHUNK + k] * b[other * CHUNK + k];
      }
      product[row * others + other] += sum;
    }
  }
}

/** Normally distributed numbers, always the same. */
export function normals(count: number): Float64Array<ArrayBuffer> {
  const values = new Float64Array(count);
  let state = 0x9e3779b9;
  const uniform = () => {
    // xorshift32: its quality matters little, only that no direction is missed.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  };
  for (let i = 0; i < count; i++) {
    values[i] = Math.sqrt(-2 * Math.log(uniform())) *
      Math.cos(2 * Math.PI * uniform());
  }
  return values;
}
