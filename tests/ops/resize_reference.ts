/**
 * Bilinear resizing in f64, and its gradient: the same shares the other way.
 *
 * @module
 */
import { type Dense, dense } from "./reference.ts";

/** Which of `from` pixels make up pixel i of `to`, and their shares. */
function sharesOf(
  i: number,
  from: number,
  to: number,
  alignCorners: boolean,
): [number, number][] {
  const place = !alignCorners
    ? Math.max((i + 0.5) * from / to - 0.5, 0)
    : to > 1
    ? i * (from - 1) / (to - 1)
    : 0;
  const first = Math.min(Math.floor(place), from - 1);
  const second = Math.min(first + 1, from - 1);
  return [[first, 1 - (place - first)], [second, place - first]];
}

/** Calls back with each share that an element of the input (B, H, W, C) has in one of the output. */
function eachShare(
  [batch, h, w, channels]: readonly number[],
  [height, width]: readonly [number, number],
  alignCorners: boolean,
  visit: (from: number, to: number, share: number) => void,
) {
  for (let b = 0; b < batch; b++) {
    for (let oy = 0; oy < height; oy++) {
      for (let ox = 0; ox < width; ox++) {
        for (const [y, down] of sharesOf(oy, h, height, alignCorners)) {
          for (const [x, across] of sharesOf(ox, w, width, alignCorners)) {
            const from = ((b * h + y) * w + x) * channels;
            const to = ((b * height + oy) * width + ox) * channels;
            for (let c = 0; c < channels; c++) {
              visit(from + c, to + c, down * across);
            }
          }
        }
      }
    }
  }
}

/** Bilinear to a size, `torch.nn.functional.interpolate`. */
export function bilinear(
  x: Dense,
  height: number,
  width: number,
  alignCorners = true,
): Dense {
  const [batch, , , channels] = x.shape;
  const resized = dense([batch, height, width, channels]);
  eachShare(x.shape, [height, width], alignCorners, (from, to, share) => {
    resized.data[to] += share * x.data[from];
  });
  return resized;
}

/** The gradient of {@linkcode bilinear} by its input, which was of a size. */
export function bilinearGradient(
  gradient: Dense,
  height: number,
  width: number,
  alignCorners = true,
): Dense {
  const [batch, outHeight, outWidth, channels] = gradient.shape;
  const shape = [batch, height, width, channels];
  const found = dense(shape);
  eachShare(shape, [outHeight, outWidth], alignCorners, (from, to, share) => {
    found.data[from] += share * gradient.data[to];
  });
  return found;
}
