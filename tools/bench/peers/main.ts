/**
 * The process in which this project and other engines are timed by turns;
 * {@linkcode ../peers.ts} starts it.
 *
 * @module
 */
import { chooseDtype, Gpu, type StorageType } from "../../../src/gpu/gpu.ts";
import type { Effort } from "../clock.ts";
import { describeWork, type Row } from "../rows.ts";
import { type PeerRow, startPeers, timePeers } from "./measure.ts";

/** What is timed. */
export interface PeersTask {
  /** Storage of this project's activations and weights. */
  readonly dtype: StorageType;
  /** The ops. */
  readonly rows: readonly Row[];
  /** How long each is measured. */
  readonly effort: Effort;
}

if (import.meta.main) {
  const { dtype, rows, effort }: PeersTask = JSON.parse(Deno.args[0]);
  using gpu = await Gpu.open();
  const storage = chooseDtype(gpu, dtype);
  const engines = await startPeers();
  const timings: PeerRow[] = [];
  for (const [i, row] of rows.entries()) {
    if (Deno.stderr.isTerminal()) {
      const sizes = describeWork(row.work);
      console.error(`${i + 1} of ${rows.length}: ${row.name} ${sizes}`);
    }
    timings.push(await timePeers(gpu, storage, row, effort, engines));
  }
  console.log(JSON.stringify(timings));
  // Engines leave timers and devices behind.
  Deno.exit(0);
}
