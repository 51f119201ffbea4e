/**
 * How an op is laid out for another engine, and run on it.
 *
 * @module
 */
import { elementCount } from "../../../src/ops/op.ts";
import type { OpBenchmark, OpValues } from "../op_benchmarks.ts";
import type { PeerOp } from "./peer.ts";

/** What an engine does with its arrays; of `run` each takes an op's inputs. */
export interface Engine<T> {
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
  benchmark: OpBenchmark,
  values: OpValues,
): PeerOp {
  const { prepare = (run) => run, call, wait, data, free } = engine;
  const { calls, ...layout } = arranged(engine, benchmark, values);
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
  benchmark: OpBenchmark,
  values: OpValues,
): Arranged<T> {
  const { run, put } = engine;
  const shapes = Object.values(benchmark.inputs).map(({ shape }) => [...shape]);
  const { x, weight, bias } = values;
  const isFirst = engine.channels === "first";
  // (B, H, W, C) as the engine likes it.
  const image = (values: Float32Array, [batch, ...size]: number[]) => {
    const [height, width, channels] = size;
    if (!isFirst) return put(values, [batch, ...size]);
    const data = transposed(values, [batch, height * width, channels]);
    return put(data, [batch, channels, height, width]);
  };
  const back =
    ([batch, height, width]: number[], channels: number) =>
    ([part]: readonly Float32Array[]) =>
      isFirst ? transposed(part, [batch, channels, height * width]) : part;
  switch (benchmark.op.name) {
    case "linear": {
      const [n, k] = shapes[1];
      const w = put(transposed(weight, [1, n, k]), [k, n]);
      return { run: run.linear, calls: [[put(x, shapes[0]), w]] };
    }
    case "conv2d": {
      const [to, ...window] = shapes[1];
      const taps = [1, to, elementCount(window)];
      const w = isFirst
        ? image(weight, shapes[1])
        : put(transposed(weight, taps), [...window, to]);
      const calls = [[image(x, shapes[0]), w]];
      return { run: run.conv2d, calls, arrange: back(shapes[0], to) };
    }
    case "attention":
      return byHeads(engine, benchmark, values);
    case "group_norm": {
      const { groups } = benchmark.attributes as { groups: number };
      const [batch, height, width, channels] = shapes[0];
      const [pixels, wide] = [height * width, channels / groups];
      const whole = [batch, channels, pixels];
      const data = isFirst ? transposed(x, [batch, pixels, channels]) : x;
      const rest = isFirst ? [groups, wide * pixels] : [pixels, groups, wide];
      const of = isFirst ? [channels, 1] : [groups, wide];
      return {
        run: (x, w, b) => run.groupNormSilu(x, w, b, whole),
        calls: [[put(data, [batch, ...rest]), put(weight, of), put(bias, of)]],
        arrange: back(shapes[0], channels),
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
  benchmark: OpBenchmark,
  { q, k, v }: OpValues,
): Arranged<T> {
  const [batch, queries, channels] = benchmark.inputs.q.shape;
  const { heads } = benchmark.attributes as { heads: number };
  const width = channels / heads;
  const atOnce = headsAtOnce(
    benchmark,
    device.limits.maxStorageBufferBindingSize,
  );
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
export function headsAtOnce({ inputs, attributes }: OpBenchmark, most: number) {
  const [batch, queries] = inputs.q.shape;
  const { heads } = attributes as { heads: number };
  const scores = 4 * batch * queries * inputs.k.shape[1];
  return heads * scores <= most ? heads : 1;
}
