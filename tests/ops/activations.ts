/**
 * Activations of one value in f64, from PyTorch's definitions.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";

/** erf by its series and its continued fraction; error < 1e-14. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 100; n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = 0;
  for (let n = 200; n >= 1; n--) fraction = n / 2 / (a + fraction);
  const tail = Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction);
  return Math.sign(x) * (1 - tail);
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
/** GELU by erf. */
export const gelu = (x: number) => x / 2 * (1 + erf(x / Math.SQRT2));

/** An activation of one value. */
export function activate(kind: Activation | undefined, x: number): number {
  switch (kind) {
    case "silu":
      return x * sigmoid(x);
    case "gelu":
      return gelu(x);
    case "quick_gelu":
      return x * sigmoid(1.702 * x);
    case "relu":
      return Math.max(x, 0);
    case "sigmoid":
      return sigmoid(x);
    case "leaky_relu":
      return x < 0 ? 0.2 * x : x;
    default:
      return x;
  }
}
