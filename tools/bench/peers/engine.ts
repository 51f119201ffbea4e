/**
 * How an op is laid out for another engine, and run on it.
 *
 * @module
 */
import { elementCount } from "../../../src/ops/op.ts";
import type { Work, WorkValues } from "../works.ts";
import type { PeerOp } from "./peer.ts";

/** What an engine does with its arrays; of `run` each takes an op's inputs. */
export interface Engine<T> {
  /** The device it runs on. */
  readonly device: GPUDevice;
  /** How images lie that it likes best: (B, C, H, W), or (B, H, W, C). */
  readonly channels: "first" | "last";
  /** Whether its attention has an axis of heads: all of them, or one. */
  readonly headsInside: boolean;
  readonly run: {
    /** x (M, K), weight (K, N). */
    linear(x: T, weight: T): T;
    /** weight (O, C, K, K) with channels first, (K, K, C, O) with channels last. */
    conv2d(x: T, weight: T): T;
    /** Heads (H·B, T, D), or (H·B, T, 1, D) or (B, T, H, D) with heads inside. */
    attention(q: T, k: T, v: T, width: number): T;
    /**
     * x (B, G, C/G·H·W) and weights (C, 1) to (B, C, H·W) with channels first;
     * x (B, H·W, G, C/G) and weights (G, C/G) with channels last.
     */
    groupNormSilu(x: T, weight: T, bias: T, shape: number[]): T;
    /** x (R, C). */
    layerNorm(x: T, weight: T, bias: T): T;
  };
  /** Traces a function once, where the engine does that. */
  prepare?(run: (...inputs: T[]) => T): (...inputs: T[]) => T;
  put(values: Float32Array, shape: number[]): T;
  /** Queues a function. */
  call(run: (...inputs: T[]) => T, inputs: readonly T[]): T;
  /** Waits until an array has been computed. */
  wait(array: T): Promise<void>;
  data(array: T): Promise<Float32Array>;
  free(array: T): void;
}

/** A function of an engine's arrays, and what it is called with. */
interface Arranged<T> {
  /** Computes the op, or a head of it. */
  readonly run: (...inputs: T[]) => T;
  /** The inputs of each call: one, or one a head. */
  readonly calls: readonly (readonly T[])[];
  /** The calls' results to one, channels last; the first as it is where missing. */
  readonly arrange?: (parts: readonly Float32Array[]) => Float32Array;
}

/** An op on an engine, that keeps its last results until the next run. */
export function peerOp<T>(
  engine: Engine<T>,
  work: Work,
  values: WorkValues,
): PeerOp {
  const { prepare = (run) => run, call, wait, data, free } = engine;
  const { calls, ...layout } = arranged(engine, work, values);
  const { arrange = ([part]) => part } = layout;
  const run = prepare(layout.run);
  let last: T[] = [];
  const queue = () => {
    for (const each of last) free(each);
    last = calls.map((inputs) => call(run, inputs));
  };
  return {
    queue,
    wait: () => wait(last.at(-1)!),
    async read() {
      queue();
      const parts: Float32Array[] = [];
      for (const each of last) parts.push(await data(each));
      return arrange(parts);
    },
    [Symbol.dispose]() {
      for (const each of [...last, ...calls.flat()]) free(each);
    },
  };
}

function arranged<T>(
  engine: Engine<T>,
  work: Work,
  values: WorkValues,
): Arranged<T> {
  const { run, put, channels } = engine;
  const { inputs } = work;
  const shapes = Object.values(inputs).map(({ shape }) => [...shape]);
  const { x, weight, bias } = values;
  switch (work.op.name) {
    case "linear": {
      const [n, k] = shapes[1];
      const w = put(transposed(weight, [1, n, k]), [k, n]);
      return { run: run.linear, calls: [[put(x, shapes[0]), w]] };
    }
    case "conv2d": {
      const [batch, height, width, from] = shapes[0];
      const [to, ...window] = shapes[1];
      if (channels === "last") {
        const w = transposed(weight, [1, to, elementCount(window)]);
        const given = [put(x, shapes[0]), put(w, [...window, to])];
        return { run: run.conv2d, calls: [given] };
      }
      const [side] = window;
      const image = transposed(x, [batch, height * width, from]);
      const w = transposed(weight, [to, side * side, from]);
      return {
        run: run.conv2d,
        calls: [[
          put(image, [batch, from, height, width]),
          put(w, [to, from, side, side]),
        ]],
        arrange: ([part]) => transposed(part, [batch, to, height * width]),
      };
    }
    case "attention":
      return byHeads(engine, work, values);
    case "group_norm": {
      const { groups } = work.attributes as { groups: number };
      const [batch, height, width, all] = shapes[0];
      const [pixels, wide] = [height * width, all / groups];
      const isFirst = channels === "first";
      const image = isFirst ? transposed(x, [batch, pixels, all]) : x;
      const shape = isFirst
        ? [batch, groups, wide * pixels]
        : [batch, pixels, groups, wide];
      const of = isFirst ? [all, 1] : [groups, wide];
      return {
        run: (x, w, b) => run.groupNormSilu(x, w, b, [batch, all, pixels]),
        calls: [[put(image, shape), put(weight, of), put(bias, of)]],
        arrange: ([part]) =>
          isFirst ? transposed(part, [batch, all, pixels]) : part,
      };
    }
    default: {
      const given = [x, weight, bias].map((data, i) => put(data, shapes[i]));
      return { run: run.layerNorm, calls: [given] };
    }
  }
}

/** (B, R, C) or (B, R, C, W), to (B, C, R) or (B, C, R, W). */
export function transposed(
  values: Float32Array,
  [batch, rows, columns, width = 1]: readonly number[],
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  let from = 0;
  for (let b = 0; b < batch; b++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const to = ((b * columns + column) * rows + row) * width;
        for (let i = 0; i < width; i++) result[to + i] = values[from++];
      }
    }
  }
  return result;
}

/**
 * An attention's heads, all at once, or one after the other where their scores
 * together are longer than the device may bind.
 */
function byHeads<T>(
  { device, headsInside, run, put }: Engine<T>,
  work: Work,
  { q, k, v }: WorkValues,
): Arranged<T> {
  const [batch, queries, channels] = work.inputs.q.shape;
  const { heads } = work.attributes as { heads: number };
  const width = channels / heads;
  const atOnce = headsAtOnce(work, device.limits.maxStorageBufferBindingSize);
  const tokens = (values: Float32Array) => values.length / batch / channels;
  const attend = (q: T, k: T, v: T) => run.attention(q, k, v, width);
  if (headsInside && atOnce === heads) {
    const given = [q, k, v]
      .map((all) => put(all, [batch, tokens(all), heads, width]));
    return { run: attend, calls: [given] };
  }
  // (H, B, T, D)
  const split = [q, k, v]
    .map((all) => transposed(all, [1, batch * tokens(all), heads, width]));
  const calls = Array.from(
    { length: heads / atOnce },
    (_, call) =>
      split.map((all) => {
        const length = all.length * atOnce / heads;
        const part = all.subarray(call * length, (call + 1) * length);
        const inner = headsInside ? [1, width] : [width];
        return put(part, [atOnce * batch, tokens(all), ...inner]);
      }),
  );
  const arrange = (parts: readonly Float32Array[]) => {
    const all = new Float32Array(q.length);
    parts.forEach((part, i) => all.set(part, i * part.length));
    return transposed(all, [1, heads, batch * queries, width]);
  };
  return { run: attend, calls, arrange };
}

/**
 * Heads that are computed at once: all, or one.
 *
 * @param most bytes of all their scores
 */
export function headsAtOnce({ inputs, attributes }: Work, most: number) {
  const [batch, queries] = inputs.q.shape;
  const { heads } = attributes as { heads: number };
  const scores = 4 * batch * queries * inputs.k.shape[1];
  return heads * scores <= most ? heads : 1;
}
