/**
 * A weight laid out the other way: what turns the gradient of a layer's output into
 * that of its input. Read from the same file, a slab of rows at a time.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { weaveFloats } from "./floats.ts";
import type { WeightRef } from "./scope.ts";
import type { WeaveTensor } from "./weave.ts";

/** Values that are held at once: 16 MiB. Each slab reads the weight once. */
const SLAB_VALUES = 4 * 2 ** 20;
/** Kernels read the channels of a product's operands by fours. */
const CHANNELS = 4;

/** Each weight has one transposed weight, so that plans can share it. */
const known = new WeakMap<WeightRef, WeightRef>();
/** Those that {@linkcode transposed} made. */
const made = new WeakSet<WeightRef>();

/**
 * The weight (I, …, O) of the gradient by x of a layer whose weight is (O, …, I);
 * a convolution's window is turned by half a turn. O is padded with zeros to a
 * multiple of 4. Quantised weights become f32, which holds their values exactly.
 *
 * @example
 * ```ts
 * import { transposed } from "./transposed.ts";
 * import type { WeightRef } from "./scope.ts";
 *
 * function shapeOfGradient(weight: WeightRef): readonly number[] {
 *   return transposed(weight).shape; // [320, 3, 3, 640] of a weight [640, 3, 3, 320]
 * }
 * ```
 */
export function transposed(ref: WeightRef): WeightRef {
  let found = known.get(ref);
  if (!found) {
    known.set(ref, found = transpose(ref));
    made.add(found);
  }
  return found;
}

/** Whether a weight is another one laid out the other way. */
export function isTransposed(ref: WeightRef): boolean {
  return made.has(ref);
}

/** A length padded to a multiple of 4. */
export function padChannels(channels: number): number {
  return Math.ceil(channels / CHANNELS) * CHANNELS;
}

/**
 * Makes what {@linkcode transposed} gives, anew.
 *
 * @param slabValues how many values are held at once; at least one row is
 */
export function transpose(
  { name, shape, tensor }: WeightRef,
  slabValues = SLAB_VALUES,
): WeightRef {
  const taps = shape.slice(1, -1);
  const layout: Layout = {
    out: shape[0],
    padded: padChannels(shape[0]),
    taps: taps.reduce((product, length) => product * length, 1),
    channels: shape.at(-1)!,
  };
  const turned = [layout.channels, ...taps, layout.padded];
  const dtype = tensor.dtype === "f16" ? "f16" : "f32";
  const count = layout.channels * layout.taps * layout.padded;
  return {
    name: `${name} transposed`,
    shape: turned,
    tensor: {
      name: `${name} transposed`,
      dtype,
      shape: turned,
      bytes: count * (dtype === "f32" ? 4 : 2),
      async *chunks() {
        const step = Math.max(
          1,
          Math.floor(slabValues / layout.taps / layout.padded),
        );
        for (let first = 0; first < layout.channels; first += step) {
          const rows = Math.min(step, layout.channels - first);
          const values = await slab(tensor, layout, first, rows);
          const { buffer } = dtype === "f32"
            ? values
            : new Float16Array(values);
          yield new Uint8Array(buffer);
        }
      },
    },
  };
}

interface Layout {
  /** O */
  readonly out: number;
  /** O, padded */
  readonly padded: number;
  /** Positions of the window. */
  readonly taps: number;
  /** I */
  readonly channels: number;
}

/** Rows `first` to `first + rows` of the transposed weight. */
async function slab(
  tensor: WeaveTensor,
  { out, padded, taps, channels }: Layout,
  first: number,
  rows: number,
): Promise<Float32Array<ArrayBuffer>> {
  const values = new Float32Array(rows * taps * padded);
  let at = 0;
  for await (const chunk of weaveFloats(tensor)) {
    // By runs of channels: all of one output channel at one position of the window.
    for (let i = 0; i < chunk.length;) {
      const run = Math.floor((at + i) / channels);
      const o = Math.floor(run / taps);
      const tap = taps - 1 - (run - o * taps);
      const start = at + i - run * channels;
      const end = Math.min(channels, start + chunk.length - i);
      const from = Math.max(start, first);
      const to = Math.min(end, first + rows);
      for (let c = from; c < to; c++) {
        values[((c - first) * taps + tap) * padded + o] = chunk[i + c - start];
      }
      i += end - start;
    }
    at += chunk.length;
  }
  if (at !== out * taps * channels) {
    throw new MasterWeaverError(
      "bad-model",
      `Weight ${tensor.name} has ${at} values, expected ${
        out * taps * channels
      }; convert the checkpoint again`,
    );
  }
  return values;
}
