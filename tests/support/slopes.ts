/**
 * Finite differences in f64: how steep a loss is along single elements of an input
 * and along directions through all of them, and how far a gradient is from that.
 *
 * A difference has two errors: that of third order, which a step of 1e-5 of an
 * input's spread makes about 1e-10 of the slope, and that of the f64 sums, about
 * 1e-16 of the loss divided by the step, 1e-11. So the NMSE of 1e-8 that is allowed in
 * f32, a relative error of 1e-4, tests the gradients and not the differences.
 *
 * @module
 */
import type { StorageType } from "../../src/gpu/gpu.ts";
import { makeInput, normal, type Values } from "../ops/op_case.ts";
import type { Dense } from "../ops/reference.ts";

/** Elements of each input, and directions through all of them, along which the loss is differentiated. */
const ELEMENTS = 12;
const DIRECTIONS = 3;
/** Of an input's spread. */
const STEP = 1e-5;
/**
 * Slopes below this count as of this size: losses are sums of numbers around 1, whose
 * rounding remains where they cancel out, as in a softmax of one large score.
 */
const LEAST_SLOPE: Readonly<Record<StorageType, number>> = {
  f32: 1e-3,
  f16: 0.1,
};

/** A direction in the space of an input, and how steep the loss is along it. */
export interface Slope {
  /** Index and share of each element that moves. */
  readonly direction: readonly (readonly [number, number])[];
  readonly slope: number;
}

/** Slopes by input: along single elements, and along directions through all of them. */
export type Slopes = Readonly<
  Record<
    string,
    {
      readonly elements: readonly Slope[];
      readonly directions: readonly Slope[];
    }
  >
>;

function spread({ data }: Dense): number {
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
  const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) /
    data.length;
  return Math.sqrt(variance) || 1;
}

/** Central differences of Σ dy · y by the named inputs, y by loops in f64. */
export function slopesOf(
  loops: (inputs: Values) => Dense,
  values: Values,
  dy: Dense,
  names: readonly string[],
): Slopes {
  const loss = (name: string, moved: Float64Array) => {
    const input = { shape: values[name].shape, data: moved };
    const { data } = loops({ ...values, [name]: input });
    return data.reduce((sum, y, i) => sum + y * dy.data[i], 0);
  };
  return Object.fromEntries(names.map((name) => {
    const { data } = values[name];
    const step = STEP * spread(values[name]);
    const along = (direction: Slope["direction"]): Slope => {
      const [up, down] = [1, -1].map((sign) => {
        const moved = Float64Array.from(data);
        for (const [i, share] of direction) moved[i] += sign * step * share;
        return loss(name, moved);
      });
      return { direction, slope: (up - down) / (2 * step) };
    };
    const count = Math.min(ELEMENTS, data.length);
    // Spread over all elements, at both ends too.
    const places = Array.from(
      { length: count },
      (_, i) => Math.round(i * (data.length - 1) / Math.max(1, count - 1)),
    );
    const directions = Array.from(
      { length: DIRECTIONS },
      (_, i) => [...makeInput(normal([data.length]), 500 + i).data.entries()],
    );
    return [name, {
      elements: places.map((i) => along([[i, 1]])),
      directions: directions.map(along),
    }];
  }));
}

/**
 * NMSE of a gradient's slopes.
 *
 * @param least mean square that the slopes count as having at least
 */
function slopeError(
  gradient: ArrayLike<number>,
  slopes: readonly Slope[],
  least: number,
): number {
  const found = slopes.map(({ direction }) =>
    direction.reduce((sum, [i, share]) => sum + share * gradient[i], 0)
  );
  const difference = slopes
    .map(({ slope }, i) => (found[i] - slope) ** 2)
    .reduce((sum, square) => sum + square);
  return difference / slopes.length / Math.max(meanSquare(slopes), least);
}

function meanSquare(slopes: readonly Slope[]): number {
  return slopes.reduce((sum, { slope }) => sum + slope ** 2, 0) / slopes.length;
}

/** NMSE of a gradient along single elements, and along directions through all of them. */
export function slopeErrors(
  gradient: ArrayLike<number>,
  { elements, directions }: Slopes[string],
  storage: StorageType,
): { readonly elements: number; readonly directions: number } {
  const least = LEAST_SLOPE[storage] ** 2;
  // Along normal random directions the mean square is the sum of all elements' squares.
  const all = meanSquare(directions) / gradient.length;
  return {
    elements: slopeError(gradient, elements, Math.max(all, least)),
    directions: slopeError(gradient, directions, least),
  };
}
