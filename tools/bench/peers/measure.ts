/**
 * Times other WebGPU engines on the same ops, by turns with this project's own.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../../src/gpu/gpu.ts";
import { type Effort, medianTimes } from "../clock.ts";
import { TOLERANCE } from "../ops.ts";
import { makeOwn } from "../ours.ts";
import { startJax } from "./jax.ts";
import type { Peer, PeerOp } from "./peer.ts";
import { startTfjs } from "./tfjs.ts";
import {
  describeWork,
  flopsOf,
  type Row,
  speedOf,
  type Work,
} from "../rows.ts";
import {
  type Expected,
  expected,
  halved,
  makeValues,
  sampleError,
} from "../values.ts";

/** Another engine's time of an op. */
export interface PeerTiming {
  /** Its name and version. */
  readonly engine: string;
  /** Milliseconds of one run, the median; none where it cannot run the op, or runs it wrong. */
  readonly milliseconds?: number;
  /** GFLOP/s, or GB/s of a norm. */
  readonly speed?: number;
  /** Its time over this project's: above 1 this project is faster. */
  readonly ratio?: number;
  /** NMSE of a sample of its result against f64. */
  readonly error?: number;
  /** Why there is no time. */
  readonly fault?: string;
}

/** An op's time, and those of other engines. */
export interface PeerRow {
  /** Which network has it, and what it is. */
  readonly name: string;
  /** Its sizes. */
  readonly shapes: string;
  /** Storage of this project's activations and weights; others store f32. */
  readonly dtype: StorageType;
  /** This project's shaders. */
  readonly shaders: readonly string[];
  /** Milliseconds of one run, the median. */
  readonly milliseconds: number;
  /** GFLOP/s, or GB/s of a norm. */
  readonly speed: number;
  /** Unit of the speeds. */
  readonly unit: "GFLOP/s" | "GB/s";
  /** NMSE of a sample of this project's result against f64. */
  readonly error: number;
  /** Whether the error is within this project's tolerance. */
  readonly right: boolean;
  /** The other engines. */
  readonly peers: readonly PeerTiming[];
  /** The smallest ratio to another engine. */
  readonly least?: number;
}

/**
 * Largest NMSE of another engine's op: a hundred times this project's own in
 * f32, because they sum in orders of their own and are not what is tested
 * here; what is wrong, an op left out or a border missed, is above 1e-3.
 */
export const PEER_TOLERANCE = 1e-8;

/** An engine, or why it is not there. */
export interface Started {
  /** Its name, with its version where it is there. */
  readonly name: string;
  /** The engine. */
  readonly peer?: Peer;
  /** Why it is not there. */
  readonly fault?: string;
}

/** Starts every engine there is. */
export async function startPeers(): Promise<Started[]> {
  const engines: [string, () => Promise<Peer>][] = [
    ["tfjs-webgpu", startTfjs],
    ["jax-js", startJax],
  ];
  const started: Started[] = [];
  for (const [name, start] of engines) {
    try {
      const peer = await start();
      started.push({ name: peer.name, peer });
    } catch (error) {
      started.push({ name, fault: `cannot start: ${firstLine(error)}` });
    }
  }
  return started;
}

/** Times a row on every engine. */
export async function timePeers(
  gpu: Gpu,
  storage: StorageType,
  { name, work }: Row,
  effort: Effort,
  engines: readonly Started[],
): Promise<PeerRow> {
  const values = makeValues(work);
  const right = expected(work, values);
  await using own = await makeOwn(gpu, storage, work, values);
  own.queue();
  const stored = storage === "f16" ? expected(work, values.map(halved)) : right;
  const error = sampleError(stored, await own.read());

  using stack = new DisposableStack();
  const checked: (PeerTiming & { op?: PeerOp })[] = [];
  for (const engine of engines) {
    checked.push({
      engine: engine.name,
      ...(engine.peer
        ? await checkPeer(engine.peer, work, values, right, stack)
        : { fault: engine.fault }),
    });
  }
  const running = checked.filter(({ op }) => op);
  const [milliseconds, ...times] = await medianTimes(
    [own, ...running.map(({ op }) => op!)],
    effort,
  );
  const peers = checked.map(({ op, ...peer }): PeerTiming => {
    const time = op && times[running.findIndex((each) => each.op === op)];
    return time === undefined ? peer : {
      ...peer,
      milliseconds: time,
      speed: speedOf(work, 4, time),
      ratio: time / milliseconds,
    };
  });
  const ratios = peers.flatMap(({ ratio }) => ratio ?? []);
  return {
    name,
    shapes: describeWork(work),
    dtype: storage,
    shaders: own.shaders,
    milliseconds,
    speed: speedOf(work, storage === "f16" ? 2 : 4, milliseconds),
    unit: flopsOf(work) > 0 ? "GFLOP/s" : "GB/s",
    error,
    right: error <= TOLERANCE[storage],
    peers,
    ...(ratios.length > 0 && { least: Math.min(...ratios) }),
  };
}

/** Runs an op once on another engine and compares the result. */
async function checkPeer(
  peer: Peer,
  work: Work,
  values: readonly Float32Array[],
  right: Expected,
  stack: DisposableStack,
): Promise<Omit<PeerTiming, "engine"> & { op?: PeerOp }> {
  const refused: string[] = [];
  const listen = (event: Event) => {
    event.preventDefault();
    refused.push((event as GPUUncapturedErrorEvent).error.message);
  };
  peer.device.addEventListener("uncapturederror", listen);
  try {
    const op = stack.use(peer.make(work, values));
    const error = sampleError(right, await op.read());
    // Events of what was refused come after a turn of the event loop.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (error <= PEER_TOLERANCE) return { op, error };
    const why = refused.length > 0 ? `, for ${firstLine(refused[0])}` : "";
    return { error, fault: `wrong: NMSE ${error.toExponential(1)}${why}` };
  } catch (error) {
    return { fault: `cannot run it: ${firstLine(refused[0] ?? error)}` };
  } finally {
    peer.device.removeEventListener("uncapturederror", listen);
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : `${error}`;
  return text.trim().split("\n").map((line) => line.trim()).join(" ")
    .slice(0, 200);
}
