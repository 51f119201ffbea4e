/**
 * jax-js on WebGPU.
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

/** As much of the package as is used here. */
interface Jax {
  init(device: "webgpu"): Promise<string[]>;
  defaultDevice(device: "webgpu"): void;
  getWebGPUDevice(): GPUDevice;
  jit(
    run: (...inputs: JaxArray[]) => JaxArray,
  ): (...inputs: JaxArray[]) => JaxArray;
  numpy: {
    array(values: Float32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
  };
  lax: {
    conv(
      x: JaxArray,
      weight: JaxArray,
      strides: number[],
      padding: "SAME",
    ): JaxArray;
  };
  nn: {
    dotProductAttention(q: JaxArray, k: JaxArray, v: JaxArray): JaxArray;
    standardize(
      x: JaxArray,
      axis: number,
      options: { epsilon: number },
    ): JaxArray;
    silu(x: JaxArray): JaxArray;
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
    make: (work, values) => make(jax, device, work, values),
  };
}

function make(
  jax: Jax,
  device: GPUDevice,
  work: Work,
  values: readonly Float32Array[],
): PeerOp {
  const { run, calls, arrange } = arranged(jax, device, work, values);
  const compiled = jax.jit(run);
  let last: JaxArray[] = [];
  const queue = () => {
    for (const each of last) each.dispose();
    last = calls.map((inputs) => {
      const y = compiled(...inputs.map((input) => input.ref));
      y.ref.gpuBufferSync();
      return y;
    });
  };
  return {
    queue,
    wait: async () => void await last.at(-1)!.blockUntilReady(),
    async read() {
      queue();
      const parts: Float32Array[] = [];
      for (const each of last) parts.push(await each.ref.data());
      return arrange(parts);
    },
    [Symbol.dispose]() {
      for (const each of [...last, ...calls.flat()]) each.dispose();
    },
  };
}

/** A function, the inputs of each call of it, and how its results become channels last. */
interface Arranged {
  readonly run: (...inputs: JaxArray[]) => JaxArray;
  readonly calls: readonly (readonly JaxArray[])[];
  readonly arrange: (parts: readonly Float32Array[]) => Float32Array;
}

/** Images are channels first, as its convolution wants them. */
function arranged(
  { numpy, lax, nn }: Jax,
  device: GPUDevice,
  work: Work,
  values: readonly Float32Array[],
): Arranged {
  const put = (data: Float32Array, ...shape: number[]) =>
    numpy.array(data).reshape(shape);
  const plain = ([part]: readonly Float32Array[]) => part;
  switch (work.kind) {
    case "linear": {
      const { rows, k, n } = work;
      return {
        run: (x, w) => numpy.matmul(x, w),
        calls: [[
          put(values[0], rows, k),
          put(transposed(values[1], 1, n, k), k, n),
        ]],
        arrange: plain,
      };
    }
    case "conv": {
      const { batch, side, channels, out, kernel } = work;
      const pixels = side * side;
      return {
        run: (x, w) => lax.conv(x, w, [1, 1], "SAME"),
        calls: [[
          put(
            transposed(values[0], batch, pixels, channels),
            batch,
            channels,
            side,
            side,
          ),
          put(
            transposed(values[1], out, kernel * kernel, channels),
            out,
            channels,
            kernel,
            kernel,
          ),
        ]],
        arrange: ([part]) => transposed(part, batch, out, pixels),
      };
    }
    case "attention": {
      const { batch, queries, keys, heads, width } = work;
      const each = headsAtOnce(work, device);
      const tokens = [queries, keys, keys];
      return {
        run: (q, k, v) => nn.dotProductAttention(q, k, v),
        calls: each === heads
          ? [values.map((all, i) => put(all, batch, tokens[i], heads, width))]
          : Array.from(
            { length: heads },
            (_, h) =>
              values.map((all, i) =>
                put(headOf(all, h, work), batch, tokens[i], 1, width)
              ),
          ),
        arrange: (parts) => each === heads ? parts[0] : joinHeads(parts, width),
      };
    }
    case "group norm + SiLU": {
      const { batch, side, channels, groups } = work;
      const pixels = side * side;
      return {
        run: (x, w, b) => {
          const y = nn.standardize(x, 2, { epsilon: EPS })
            .reshape([batch, channels, pixels]).mul(w).add(b);
          return nn.silu(y);
        },
        calls: [[
          put(
            transposed(values[0], batch, pixels, channels),
            batch,
            groups,
            channels / groups * pixels,
          ),
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
        arrange: plain,
      };
  }
}
