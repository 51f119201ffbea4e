/**
 * Other WebGPU engines beside this project's own, interleaved in a process of
 * their own: this module is also what that process runs.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { chooseDtype, Gpu, type StorageType } from "../../src/gpu/gpu.ts";
import { repositoryFile } from "../tool.ts";
import type { Sampling } from "./clock.ts";
import { benchOps } from "./ops.ts";
import { startJax } from "./peers/jax.ts";
import { startPeer } from "./peers/peer.ts";
import { startTfjs } from "./peers/tfjs.ts";
import type { Table } from "./table.ts";
import { chooseBenchmarks } from "./op_benchmarks.ts";

/** What is timed: as the bench's options of these names say. */
interface PeersTask {
  /** Storage of this project's activations and weights. */
  readonly storage: StorageType;
  readonly only: string;
  readonly batch: number;
  readonly sampling: Sampling;
}

/**
 * Times this project and all engines in one process, with a lock file of its
 * own: what is in `deno.lock` is downloaded by everyone who runs anything here,
 * and these engines are 70 MB that only this needs.
 *
 * @throws {MasterWeaverError} `gpu` where that process fails
 */
export async function runPeers(task: PeersTask): Promise<Table> {
  const { success, code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--no-config", "--unstable-webgpu"],
      `--lock=${repositoryFile("tools/bench/peers/deno.lock")}`,
      "--frozen",
      repositoryFile("tools/bench/peers.ts"),
      JSON.stringify(task),
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) {
    throw new MasterWeaverError(
      "gpu",
      `Cannot time other engines: their process ended with ${code}, see above`,
    );
  }
  // What else an engine prints comes before.
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  return JSON.parse(lines.at(-1)!);
}

if (import.meta.main) {
  const task: PeersTask = JSON.parse(Deno.args[0]);
  using gpu = await Gpu.open();
  const table = await benchOps(gpu, {
    storage: chooseDtype(gpu, task.storage),
    benchmarks: chooseBenchmarks(task),
    sampling: task.sampling,
    peers: [
      await startPeer("tfjs-webgpu", startTfjs),
      await startPeer("jax-js", startJax),
    ],
    onRow: (label) => Deno.stderr.isTerminal() && console.error(label),
  });
  console.log(JSON.stringify(table));
  // Engines leave timers and devices behind.
  Deno.exit(0);
}
