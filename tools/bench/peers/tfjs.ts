/**
 * TensorFlow.js on WebGPU.
 *
 * @module
 */
import { EPS, inputsOf, type Work } from "../rows.ts";
import {
  headOf,
  headsAtOnce,
  joinHeads,
  PACKAGES,
  type Peer,
  type PeerOp,
  transposed,
} from "./peer.ts";

/** As much of a tensor as is used here. */
interface TfTensor {
  data(): Promise<Float32Array>;
  dispose(): void;
}

/** As much of the package as is used here. */
interface Tf {
  version_core?: string;
  setBackend(name: string): Promise<boolean>;
  backend(): { device: GPUDevice };
  tensor(values: Float32Array, shape: number[]): TfTensor;
  tidy<T>(run: () => T): T;
  matMul(a: TfTensor, b: TfTensor, ta?: boolean, tb?: boolean): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, stride: number, pad: "same"): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  add(a: TfTensor, b: TfTensor | number): TfTensor;
  sub(a: TfTensor, b: TfTensor): TfTensor;
  rsqrt(x: TfTensor): TfTensor;
  sigmoid(x: TfTensor): TfTensor;
  softmax(x: TfTensor): TfTensor;
  reshape(x: TfTensor, shape: number[]): TfTensor;
  slice(x: TfTensor, begin: number, size: number): TfTensor;
  moments(
    x: TfTensor,
    axis: number[],
    keepDims: boolean,
  ): { mean: TfTensor; variance: TfTensor };
}

/**
 * Starts it.
 *
 * @throws {Error} where it cannot be loaded or has no WebGPU
 */
export async function startTfjs(): Promise<Peer> {
  const [core, webgpu] = PACKAGES.tfjs;
  const tf: Tf = await import(core);
  await import(webgpu);
  if (!await tf.setBackend("webgpu")) {
    throw new Error("its WebGPU backend does not start");
  }
  const { device } = tf.backend();
  return {
    name: `tfjs-webgpu ${tf.version_core ?? ""}`.trim(),
    device,
    make: (work, values) => make(tf, device, work, values),
  };
}

function make(
  tf: Tf,
  device: GPUDevice,
  work: Work,
  values: readonly Float32Array[],
): PeerOp {
  const { run, held, arrange } = arranged(tf, device, work, values);
  let last: TfTensor[] = [];
  const queue = () => {
    for (const each of last) each.dispose();
    last = tf.tidy(run);
  };
  return {
    queue,
    // It hands its commands over only when something is read.
    async wait() {
      const word = tf.tidy(() =>
        tf.slice(tf.reshape(last.at(-1)!, [-1]), 0, 1)
      );
      await word.data();
      word.dispose();
    },
    async read() {
      queue();
      const parts: Float32Array[] = [];
      for (const each of last) parts.push(await each.data());
      return arrange(parts);
    },
    [Symbol.dispose]() {
      for (const each of [...last, ...held]) each.dispose();
    },
  };
}

/** An op, what it holds on the GPU, and how its results become channels last. */
interface Arranged {
  readonly run: () => TfTensor[];
  readonly held: readonly TfTensor[];
  readonly arrange: (parts: readonly Float32Array[]) => Float32Array;
}

function arranged(
  tf: Tf,
  device: GPUDevice,
  work: Work,
  values: readonly Float32Array[],
): Arranged {
  const held: TfTensor[] = [];
  const hold = (data: Float32Array, ...shape: number[]) => {
    const tensor = tf.tensor(data, shape);
    held.push(tensor);
    return tensor;
  };
  const plain = ([part]: readonly Float32Array[]) => part;
  const shapes = inputsOf(work).map(({ shape }) => shape);
  switch (work.kind) {
    case "linear": {
      const { k, n } = work;
      const x = hold(values[0], ...shapes[0]);
      const w = hold(transposed(values[1], 1, n, k), k, n);
      return { run: () => [tf.matMul(x, w)], held, arrange: plain };
    }
    case "conv": {
      const { kernel, channels, out } = work;
      const x = hold(values[0], ...shapes[0]);
      const taps = kernel * kernel * channels;
      const w = hold(
        transposed(values[1], 1, out, taps),
        kernel,
        kernel,
        channels,
        out,
      );
      return { run: () => [tf.conv2d(x, w, 1, "same")], held, arrange: plain };
    }
    case "attention": {
      const { batch, queries, keys, heads, width } = work;
      const each = headsAtOnce(work, device);
      // (B, T, H·D) to one or H matrices (T, D) of each image.
      const tokens = [queries, keys, keys];
      const inputs = values.map((all, i) => {
        const parts = Array.from(
          { length: heads },
          (_, h) => headOf(all, h, work),
        );
        return each === 1
          ? parts.map((part) => hold(part, batch, tokens[i], width))
          : [hold(stack(parts), heads * batch, tokens[i], width)];
      });
      const scale = 1 / Math.sqrt(width);
      return {
        run: () =>
          inputs[0].map((q, h) => {
            const scores = tf.matMul(
              tf.mul(q, scale),
              inputs[1][h],
              false,
              true,
            );
            return tf.matMul(tf.softmax(scores), inputs[2][h]);
          }),
        held,
        arrange: (parts) =>
          joinHeads(each === 1 ? parts : unstack(parts[0], heads), width),
      };
    }
    case "group norm + SiLU": {
      const { batch, side, channels, groups } = work;
      const size = channels / groups;
      const x = hold(values[0], batch, side * side, groups, size);
      const w = hold(values[1], groups, size);
      const b = hold(values[2], groups, size);
      return {
        run: () => {
          const y = normed(tf, x, [1, 3], w, b);
          return [tf.mul(y, tf.sigmoid(y))];
        },
        held,
        arrange: plain,
      };
    }
    case "layer norm": {
      const [x, w, b] = values.map((data, i) => hold(data, ...shapes[i]));
      return { run: () => [normed(tf, x, [1], w, b)], held, arrange: plain };
    }
  }
}

function normed(
  tf: Tf,
  x: TfTensor,
  axes: number[],
  weight: TfTensor,
  bias: TfTensor,
): TfTensor {
  const { mean, variance } = tf.moments(x, axes, true);
  const factor = tf.rsqrt(tf.add(variance, EPS));
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), factor), weight), bias);
}

/** Arrays of one length, one after the other. */
function stack(parts: readonly Float32Array[]): Float32Array {
  const { length } = parts[0];
  const all = new Float32Array(parts.length * length);
  parts.forEach((part, i) => all.set(part, i * length));
  return all;
}

function unstack(all: Float32Array, parts: number): Float32Array[] {
  const length = all.length / parts;
  return Array.from(
    { length: parts },
    (_, i) => all.subarray(i * length, (i + 1) * length),
  );
}
