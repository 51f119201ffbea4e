/**
 * Numbers with a shape, and the two layouts of images.
 *
 * @module
 */

/** What goes into a network or comes out of it. */
export interface Values {
  /** Outermost dimension first; of images (B, H, W, C). */
  readonly shape: readonly number[];
  /** In row-major order. */
  readonly data: Float32Array | Uint32Array;
}

/** Zeros, to be filled. */
export function zeros(...shape: number[]): Values & { data: Float32Array } {
  return { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
}

/**
 * PyTorch's layout of images to the GPU's: (B, C, H, W) to (B, H, W, C).
 *
 * @param multiple channels are filled up with zeros to a multiple of this
 */
export function channelsLast(
  { shape: [batch, channels, height, width], data }: Values,
  multiple = 1,
): Values {
  const wide = Math.ceil(channels / multiple) * multiple;
  const pixels = height * width;
  const out = zeros(batch, height, width, wide);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      const plane = (b * channels + c) * pixels;
      for (let i = 0; i < pixels; i++) {
        out.data[(b * pixels + i) * wide + c] = data[plane + i];
      }
    }
  }
  return out;
}

/** Some entries of the outermost dimension, in any order, also repeated. */
export function rows({ shape, data }: Values, picked: number[]): Values {
  const length = data.length / shape[0];
  const out = zeros(picked.length, ...shape.slice(1));
  for (const [i, row] of picked.entries()) {
    out.data.set(data.subarray(row * length, (row + 1) * length), i * length);
  }
  return out;
}
