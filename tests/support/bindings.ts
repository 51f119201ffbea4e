/**
 * What an adapter that binds no more than WebGPU promises refuses of a graph.
 *
 * @module
 */
import type { GpuLimits } from "../../src/gpu/gpu.ts";
import { scratchShape } from "../../src/gpu/texels.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { checkBindings } from "../../src/graph/launch_checks.ts";
import { launchesOf, lower, type Step } from "../../src/graph/lowering.ts";
import { textureNeeds } from "../../src/graph/memory_needs.ts";

/** What every adapter offers. */
export const PROMISED_LIMITS: GpuLimits = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 256 * 2 ** 20,
  maxComputeWorkgroupsPerDimension: 65535,
};
/** Most rows of a texture that every adapter offers. */
const PROMISED_ROWS = 8192;

/** Which kernels are taken before others. */
export const KERNEL_PREFERENCES: readonly (readonly string[])[] = [
  ["baseline"],
  ["workgroup-tiled", "baseline"],
  ["texture-backed", "baseline"],
  ["winograd", "texture-backed", "baseline"],
];

/** The steps of a graph, with ops computed as preferred. */
export function preferredSteps(
  graph: Graph,
  preferred: readonly string[],
  limits: GpuLimits,
): Step[] {
  const choice = new KernelChoice(
    graph,
    (_node, known) =>
      preferred.find((name) => known.includes(name)) ?? known[0],
  );
  return lower(choice, limits);
}

/** What is refused of a graph, with ops computed as preferred. */
export function refusedBindings(
  graph: Graph,
  preferred: readonly string[],
): string[] {
  const steps = preferredSteps(graph, preferred, PROMISED_LIMITS);
  const messages: string[] = [];
  for (const step of steps) {
    for (const launch of launchesOf(step)) {
      try {
        checkBindings(step, launch);
      } catch (error) {
        messages.push(`${launch.shader}: ${(error as Error).message}`);
      }
    }
  }
  for (const count of textureNeeds(steps).texels) {
    const { height } = scratchShape(count);
    if (height > PROMISED_ROWS) messages.push(`A texture of ${height} rows`);
  }
  return messages;
}
