/**
 * 8-bit floats, as PyTorch's `float8_e4m3fn` and `float8_e5m2`.
 *
 * @module
 */

/** Bits of the exponent, its bias, and whether the largest one is infinity. */
interface Format {
  readonly exponentBits: number;
  readonly bias: number;
  readonly hasInfinity: boolean;
}

const E4M3: Format = { exponentBits: 4, bias: 7, hasInfinity: false };
const E5M2: Format = { exponentBits: 5, bias: 15, hasInfinity: true };

/** Safetensors' names of the two types. */
export type Float8Dtype = "F8_E4M3" | "F8_E5M2";

const tables: Readonly<Record<Float8Dtype, Float32Array>> = {
  F8_E4M3: tableOf(E4M3),
  F8_E5M2: tableOf(E5M2),
};

/**
 * Widens 8-bit floats; every one of them is an f32.
 *
 * @param codes one value a byte
 * @param dtype which of the two types
 */
export function float8ToFloat32(
  codes: Uint8Array,
  dtype: Float8Dtype,
): Float32Array<ArrayBuffer> {
  const table = tables[dtype];
  const values = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) values[i] = table[codes[i]];
  return values;
}

/** The value of each of the 256 codes. */
function tableOf(format: Format): Float32Array {
  return Float32Array.from({ length: 256 }, (_, code) => valueOf(code, format));
}

/** Sign, exponent, mantissa, from the highest bit; e = 0 is subnormal. */
function valueOf(
  code: number,
  { exponentBits, bias, hasInfinity }: Format,
): number {
  const mantissaBits = 7 - exponentBits;
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code & 0x7f) >> mantissaBits;
  const mantissa = code & (1 << mantissaBits) - 1;
  if (exponent === (1 << exponentBits) - 1) {
    if (hasInfinity) return mantissa === 0 ? sign * Infinity : NaN;
    // Without infinity only the last code of each sign is NaN.
    if (mantissa === (1 << mantissaBits) - 1) return NaN;
  }
  const fraction = mantissa / (1 << mantissaBits);
  return exponent === 0
    ? sign * fraction * 2 ** (1 - bias)
    : sign * (1 + fraction) * 2 ** (exponent - bias);
}
