/**
 * Other WebGPU engines: which there are, what each is asked to do, and how
 * their ops are checked.
 *
 * @module
 */
import type { Contender } from "../clock.ts";
import type { OpBenchmark, OpValues } from "../op_benchmarks.ts";

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
  make(benchmark: OpBenchmark, values: OpValues): PeerOp;
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

/** An engine's op, or why it cannot be timed. */
export interface CheckedOp {
  readonly engine: string;
  readonly op?: PeerOp;
  /** NMSE. */
  readonly error?: number;
  readonly fault?: string;
}

/**
 * Runs an op once on another engine and checks the result.
 *
 * @param check NMSE of a result
 * @param stack frees the op
 */
export async function checkPeer(
  { name: engine, device, make }: Peer,
  benchmark: OpBenchmark,
  values: OpValues,
  check: (result: Float32Array) => number,
  stack: DisposableStack,
): Promise<CheckedOp> {
  const refused: string[] = [];
  const listen = (event: Event) => {
    event.preventDefault();
    refused.push((event as GPUUncapturedErrorEvent).error.message);
  };
  device?.addEventListener("uncapturederror", listen);
  try {
    const op = stack.use(make(benchmark, values));
    const error = check(await op.read());
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
  return text.trim().replace(/\s*\n\s*/g, " ").slice(0, 200);
}
