/**
 * Other WebGPU engines: which there are, what each is asked to do, and how
 * their ops are laid out, run and checked.
 *
 * @module
 */
import type { Contender } from "../clock.ts";
import { type Expected, sampleError } from "../reference.ts";
import type { Attention, Work } from "../work.ts";

/**
 * The engines' packages, exactly. They are imported by these strings at run
 * time, so that nothing but `--peers` downloads them; the `deno.lock` beside
 * this file holds their checksums. To change a version, change it here and run
 * `peers.ts` once with `--frozen=false` and that lock.
 */
export const PACKAGES = {
  jax: ["npm:@jax-js/jax@0.1.25"],
  tfjs: [
    "npm:@tensorflow/tfjs-core@4.22.0",
    "npm:@tensorflow/tfjs-backend-webgpu@4.22.0",
  ],
} as const;

/**
 * Largest NMSE of another engine's op: a hundred times this project's own in
 * f32, because they sum in orders of their own and are not what is tested
 * here; what is wrong, an op left out or a border missed, is above 1e-3.
 */
export const PEER_TOLERANCE = 1e-8;

/** An op of another engine on the GPU. */
export interface PeerOp extends Contender, Disposable {
  /** Runs it once and reads the result, channels last. */
  read(): Promise<Float32Array>;
}

/** Another engine. */
export interface Peer {
  /** Its name and version. */
  readonly name: string;
  /** The device it runs on, where it has started: what goes wrong there is told by events alone. */
  readonly device?: GPUDevice;
  /**
   * Puts an op on the GPU, in the layout the engine likes best; making that
   * layout is not timed.
   *
   * @param values of its inputs, channels last
   */
  make(work: Work, values: readonly Float32Array[]): PeerOp;
}

/** A function of an engine's arrays, and what it is called with. */
export interface Arranged<T> {
  /** Computes the op, or a head of it. */
  readonly run: (...inputs: T[]) => T;
  /** The inputs of each call: one, or one a head. */
  readonly calls: readonly (readonly T[])[];
  /** The calls' results to one, channels last; the first as it is where missing. */
  readonly arrange?: (parts: readonly Float32Array[]) => Float32Array;
}

/** What an engine does with its arrays. */
export interface Arrays<T> {
  /** Queues a function. */
  call(run: (...inputs: T[]) => T, inputs: readonly T[]): T;
  /** Waits until an array has been computed. */
  wait(array: T): Promise<void>;
  /** Reads one. */
  data(array: T): Promise<Float32Array>;
  /** Frees one. */
  free(array: T): void;
}

/** An op that keeps its last results until the next run. */
export function peerOp<T>(
  { call, wait, data, free }: Arrays<T>,
  { run, calls, arrange = ([part]) => part }: Arranged<T>,
): PeerOp {
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

/** Starts an engine; one that does not start can make no op. */
export async function startPeer(
  name: string,
  start: () => Promise<Peer>,
): Promise<Peer> {
  return await start().catch((error) => ({
    name,
    make() {
      throw new Error(`it does not start: ${firstLine(error)}`);
    },
  }));
}

/**
 * Runs an op once on another engine and compares the result.
 *
 * @returns the op, or why it cannot be timed
 */
export async function checkPeer(
  { name: engine, device, make }: Peer,
  work: Work,
  values: readonly Float32Array[],
  right: Expected,
  stack: DisposableStack,
): Promise<
  { engine: string; op?: PeerOp; error?: number; fault?: string }
> {
  const refused: string[] = [];
  const listen = (event: Event) => {
    event.preventDefault();
    refused.push((event as GPUUncapturedErrorEvent).error.message);
  };
  device?.addEventListener("uncapturederror", listen);
  try {
    const op = stack.use(make(work, values));
    const error = sampleError(right, await op.read());
    // Events of what was refused come after a turn of the event loop.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (error <= PEER_TOLERANCE) return { engine, op, error };
    const why = refused.length > 0 ? `, for ${firstLine(refused[0])}` : "";
    const fault = `wrong: NMSE ${error.toExponential(1)}${why}`;
    return { engine, error, fault };
  } catch (error) {
    const fault = `cannot run it: ${firstLine(refused[0] ?? error)}`;
    return { engine, fault };
  } finally {
    device?.removeEventListener("uncapturederror", listen);
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : `${error}`;
  return text.trim().split("\n").map((line) => line.trim()).join(" ")
    .slice(0, 200);
}

/** A matrix (rows, columns) to (columns, rows), of each of a batch. */
export function transposed(
  values: Float32Array,
  batch: number,
  rows: number,
  columns: number,
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  for (let b = 0; b < batch; b++) {
    const start = b * rows * columns;
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        result[start + j * rows + i] = values[start + i * columns + j];
      }
    }
  }
  return result;
}

/** (B, T, H·D) as heads one after the other, (H, B, T, D). */
export function splitHeads(
  values: Float32Array,
  { heads, width }: Pick<Attention, "heads" | "width">,
): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  const tokens = values.length / heads / width;
  for (let t = 0; t < tokens; t++) {
    for (let head = 0; head < heads; head++) {
      const from = (t * heads + head) * width;
      const to = (head * tokens + t) * width;
      result.set(values.subarray(from, from + width), to);
    }
  }
  return result;
}

/** Heads (H, B, T, D), in one part or a part each, side by side again. */
export function joinHeads(
  parts: readonly Float32Array[],
  { heads, width }: Pick<Attention, "heads" | "width">,
): Float32Array<ArrayBuffer> {
  const all = joined(parts);
  // The way back is the same with tokens and heads the other way round.
  return splitHeads(all, { heads: all.length / heads / width, width });
}

/** Arrays one after the other. */
function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * An attention's q, k and v for each call, all heads at once, or one after the
 * other where their scores together are longer than the device may bind.
 *
 * @param put makes an array of heads (H, B, T, D)
 */
export function attentionCalls<T>(
  work: Attention,
  values: readonly Float32Array[],
  device: GPUDevice,
  put: (values: Float32Array, heads: number, tokens: number) => T,
): T[][] {
  const { queries, keys, heads } = work;
  const atOnce = headsAtOnce(work, device);
  return Array.from(
    { length: heads / atOnce },
    (_, i) =>
      values.map((all, j) => {
        const split = splitHeads(all, work);
        const length = split.length * atOnce / heads;
        const part = split.subarray(i * length, (i + 1) * length);
        return put(part, atOnce, j === 0 ? queries : keys);
      }),
  );
}

/** Heads that are computed at once: all, or one. */
export function headsAtOnce(
  { batch, queries, keys, heads }: Attention,
  device: GPUDevice,
): number {
  const scores = 4 * batch * queries * keys;
  const { maxStorageBufferBindingSize: most } = device.limits;
  return heads * scores <= most ? heads : 1;
}
