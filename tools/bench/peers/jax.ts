/**
 * jax-js on WebGPU.
 *
 * @module
 */
import { EPS } from "../op_benchmarks.ts";
import { type Engine, peerOp } from "./engine.ts";
import { PACKAGES, type Peer } from "./peer.ts";

/** As much of an array as is used here; a call takes it unless it is `ref`. */
interface JaxArray {
  readonly ref: JaxArray;
  reshape(shape: number[]): JaxArray;
  add(other: JaxArray): JaxArray;
  mul(other: JaxArray): JaxArray;
  data(): Promise<Float32Array>;
  blockUntilReady(): Promise<JaxArray>;
  /** Hands over what computes it, without a wait. */
  gpuBufferSync(): GPUBuffer;
  dispose(): void;
}

type JaxFunction = (...inputs: JaxArray[]) => JaxArray;

/** As much of the package as is used here. */
interface Jax {
  init(device: "webgpu"): Promise<string[]>;
  defaultDevice(device: "webgpu"): void;
  getWebGPUDevice(): GPUDevice;
  jit(run: JaxFunction): JaxFunction;
  numpy: { array(values: Float32Array): JaxArray; matmul: JaxFunction };
  lax: {
    conv(
      x: JaxArray,
      weight: JaxArray,
      strides: number[],
      padding: "SAME",
    ): JaxArray;
  };
  nn: {
    dotProductAttention: JaxFunction;
    standardize(
      x: JaxArray,
      axis: number,
      options: { epsilon: number },
    ): JaxArray;
    silu: JaxFunction;
  };
}

/**
 * Starts it.
 *
 * @throws {Error} where it cannot be loaded or has no WebGPU
 */
export async function startJax(): Promise<Peer> {
  const [name] = PACKAGES.jax;
  const jax: Jax = await import(name);
  if (!(await jax.init("webgpu")).includes("webgpu")) {
    throw new Error("its WebGPU backend does not start");
  }
  jax.defaultDevice("webgpu");
  const engine = engineOf(jax);
  return {
    name: `jax-js ${name.split("@").at(-1)}`,
    device: engine.device,
    make: (benchmark, values) => peerOp(engine, benchmark, values),
  };
}

function engineOf(
  { numpy, lax, nn, jit, getWebGPUDevice }: Jax,
): Engine<JaxArray> {
  const normed = (axis: number, x: JaxArray) =>
    nn.standardize(x, axis, { epsilon: EPS });
  return {
    device: getWebGPUDevice(),
    // As its convolution wants them.
    channels: "first",
    headsInside: true,
    prepare: jit,
    run: {
      linear: (x, w) => numpy.matmul(x, w),
      conv2d: (x, w) => lax.conv(x, w, [1, 1], "SAME"),
      attention: (q, k, v) => nn.dotProductAttention(q, k, v),
      groupNormSilu: (x, w, b, shape) =>
        nn.silu(normed(2, x).reshape(shape).mul(w).add(b)),
      layerNorm: (x, w, b) => normed(1, x).mul(w).add(b),
    },
    put: (values, shape) => numpy.array(values).reshape(shape),
    call(run, inputs) {
      const y = run(...inputs.map((input) => input.ref));
      y.ref.gpuBufferSync();
      return y;
    },
    wait: async (array) => void await array.blockUntilReady(),
    data: (array) => array.ref.data(),
    free: (array) => array.dispose(),
  };
}
