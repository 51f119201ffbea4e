/**
 * Loads 384 MiB of weights and prints how many MiB of host memory that took at
 * most. Run as a process, whose memory nobody else uses; on Linux, which tells
 * the highest resident size.
 *
 * @module
 */
import { WeightStore } from "../../src/graph/weight_store.ts";
import { sharedGpu } from "./gpu.ts";
import { largeWeight } from "./large_weight.ts";

/** A line of this process's memory, in MiB. */
async function residentMiB(name: string): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status");
  return Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(status)![1]) / 1024;
}

const gpu = await sharedGpu();
{
  // What the first load takes once is not what is asked for.
  using first = new WeightStore(gpu);
  await first.load([largeWeight(0), largeWeight(1)]);
}
using store = new WeightStore(gpu);
// From here on the highest resident size is counted anew.
await Deno.writeTextFile("/proc/self/clear_refs", "5");
const before = await residentMiB("VmRSS");
await store.load(Array.from({ length: 24 }, (_, i) => largeWeight(i)));
const peak = await residentMiB("VmHWM");
// What the GPU holds counts as the process's own in a software driver.
console.log(Math.round(peak - before - 384));
