/**
 * TensorFlow.js on WebGPU.
 *
 * @module
 */
import { EPS } from "../op_benchmarks.ts";
import { type Engine, peerOp } from "./engine.ts";
import { PACKAGES, type Peer } from "./peer.ts";

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
  const engine = engineOf(tf, device);
  return {
    name: `tfjs-webgpu ${tf.version_core ?? ""}`.trim(),
    device,
    make: (benchmark, values) => peerOp(engine, benchmark, values),
  };
}

function engineOf(tf: Tf, device: GPUDevice): Engine<TfTensor> {
  const normed = (
    axes: number[],
    x: TfTensor,
    weight: TfTensor,
    bias: TfTensor,
  ) => {
    const { mean, variance } = tf.moments(x, axes, true);
    const factor = tf.rsqrt(tf.add(variance, EPS));
    return tf.add(tf.mul(tf.mul(tf.sub(x, mean), factor), weight), bias);
  };
  return {
    device,
    channels: "last",
    headsInside: false,
    run: {
      linear: (x, w) => tf.matMul(x, w),
      conv2d: (x, w) => tf.conv2d(x, w, 1, "same"),
      attention(q, k, v, width) {
        const scaled = tf.mul(q, 1 / Math.sqrt(width));
        const scores = tf.matMul(scaled, k, false, true);
        return tf.matMul(tf.softmax(scores), v);
      },
      groupNormSilu(x, w, b) {
        const y = normed([1, 3], x, w, b);
        return tf.mul(y, tf.sigmoid(y));
      },
      layerNorm: (x, w, b) => normed([1], x, w, b),
    },
    put: (values, shape) => tf.tensor(values, shape),
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
