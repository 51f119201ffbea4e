/**
 * jax-js on WebGPU.
 *
 * @module
 */
import { EPS, inputsOf, type Work } from "../work.ts";
import {
  type Arranged,
  type Arrays,
  attentionCalls,
  headsAtOnce,
  joinHeads,
  PACKAGES,
  type Peer,
  peerOp,
  transposed,
} from "./peer.ts";

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
  const device = jax.getWebGPUDevice();
  return {
    name: `jax-js ${name.split("@").at(-1)}`,
    device,
    make(work, values) {
      const { run, ...arranged } = arrange(jax, device, work, values);
      return peerOp(ARRAYS, { run: jax.jit(run), ...arranged });
    },
  };
}

const ARRAYS: Arrays<JaxArray> = {
  call(run, inputs) {
    const y = run(...inputs.map((input) => input.ref));
    y.ref.gpuBufferSync();
    return y;
  },
  wait: async (array) => void await array.blockUntilReady(),
  data: (array) => array.ref.data(),
  free: (array) => array.dispose(),
};

/** Images are channels first, as its convolution wants them. */
function arrange(
  { numpy, lax, nn }: Jax,
  device: GPUDevice,
  work: Work,
  values: readonly Float32Array[],
): Arranged<JaxArray> {
  const put = (data: Float32Array, ...shape: number[]) =>
    numpy.array(data).reshape(shape);
  const { batch } = work;
  switch (work.kind) {
    case "linear": {
      const { channels: k, out: n } = work;
      const weight = put(transposed(values[1], 1, n, k), k, n);
      return {
        run: (x, w) => numpy.matmul(x, w),
        calls: [[put(values[0], batch, k), weight]],
      };
    }
    case "conv": {
      const { side, channels, out, kernel } = work;
      const pixels = side * side;
      const x = transposed(values[0], batch, pixels, channels);
      const w = transposed(values[1], out, kernel * kernel, channels);
      return {
        run: (x, w) => lax.conv(x, w, [1, 1], "SAME"),
        calls: [[
          put(x, batch, channels, side, side),
          put(w, out, channels, kernel, kernel),
        ]],
        arrange: ([part]) => transposed(part, batch, out, pixels),
      };
    }
    case "attention": {
      const { queries, keys, heads, width } = work;
      const run: JaxFunction = (q, k, v) => nn.dotProductAttention(q, k, v);
      if (headsAtOnce(work, device) === heads) {
        const tokens = [queries, keys, keys];
        const all = values.map((each, i) =>
          put(each, batch, tokens[i], heads, width)
        );
        return { run, calls: [all] };
      }
      return {
        run,
        calls: attentionCalls(
          work,
          values,
          device,
          (part, heads, tokens) => put(part, heads * batch, tokens, 1, width),
        ),
        arrange: (parts) => joinHeads(parts, work),
      };
    }
    case "group norm + SiLU": {
      const { side, channels, groups } = work;
      const pixels = side * side;
      const x = transposed(values[0], batch, pixels, channels);
      return {
        run: (x, w, b) => {
          const y = nn.standardize(x, 2, { epsilon: EPS })
            .reshape([batch, channels, pixels]).mul(w).add(b);
          return nn.silu(y);
        },
        calls: [[
          put(x, batch, groups, channels / groups * pixels),
          put(values[1], channels, 1),
          put(values[2], channels, 1),
        ]],
        arrange: ([part]) => transposed(part, batch, channels, pixels),
      };
    }
    case "layer norm":
      return {
        run: (x, w, b) => nn.standardize(x, 1, { epsilon: EPS }).mul(w).add(b),
        calls: [inputsOf(work).map(({ shape }, i) => put(values[i], ...shape))],
      };
  }
}
