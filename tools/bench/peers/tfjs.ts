/**
 * TensorFlow.js on WebGPU.
 *
 * @module
 */
import { EPS, inputsOf, type Work } from "../work.ts";
import {
  type Arranged,
  type Arrays,
  attentionCalls,
  joinHeads,
  PACKAGES,
  type Peer,
  peerOp,
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
  tidy(run: () => TfTensor): TfTensor;
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
    make: (work, values) =>
      peerOp(arraysOf(tf), arrange(tf, device, work, values)),
  };
}

function arraysOf(tf: Tf): Arrays<TfTensor> {
  return {
    call: (run, inputs) => tf.tidy(() => run(...inputs)),
    // It hands its commands over only when something is read.
    async wait(tensor) {
      const word = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, 1));
      await word.data();
      word.dispose();
    },
    data: (tensor) => tensor.data(),
    free: (tensor) => tensor.dispose(),
  };
}

function arrange(
  tf: Tf,
  device: GPUDevice,
  work: Work,
  values: readonly Float32Array[],
): Arranged<TfTensor> {
  const put = (data: Float32Array, ...shape: number[]) =>
    tf.tensor(data, shape);
  const shapes = inputsOf(work).map(({ shape }) => shape);
  switch (work.kind) {
    case "linear": {
      const { channels: k, out: n } = work;
      const weight = put(transposed(values[1], 1, n, k), k, n);
      return {
        run: (x, w) => tf.matMul(x, w),
        calls: [[put(values[0], ...shapes[0]), weight]],
      };
    }
    case "conv": {
      const { kernel, channels, out } = work;
      const taps = kernel * kernel * channels;
      const weight = transposed(values[1], 1, out, taps);
      return {
        run: (x, w) => tf.conv2d(x, w, 1, "same"),
        calls: [[
          put(values[0], ...shapes[0]),
          put(weight, kernel, kernel, channels, out),
        ]],
      };
    }
    case "attention": {
      const { batch, width } = work;
      const scale = 1 / Math.sqrt(width);
      return {
        run: (q, k, v) => {
          const scores = tf.matMul(tf.mul(q, scale), k, false, true);
          return tf.matMul(tf.softmax(scores), v);
        },
        calls: attentionCalls(
          work,
          values,
          device,
          (part, heads, tokens) => put(part, heads * batch, tokens, width),
        ),
        arrange: (parts) => joinHeads(parts, work),
      };
    }
    case "group norm + SiLU": {
      const { batch, side, channels, groups } = work;
      const size = channels / groups;
      return {
        run: (x, w, b) => {
          const y = normed(tf, x, [1, 3], w, b);
          return tf.mul(y, tf.sigmoid(y));
        },
        calls: [[
          put(values[0], batch, side * side, groups, size),
          put(values[1], groups, size),
          put(values[2], groups, size),
        ]],
      };
    }
    case "layer norm":
      return {
        run: (x, w, b) => normed(tf, x, [1], w, b),
        calls: [values.map((data, i) => put(data, ...shapes[i]))],
      };
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
