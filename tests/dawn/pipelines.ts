/**
 * A process that compiles every pipeline of a model by Tint: every node of every
 * graph, each kernel it has, each storage type of activations and weights, for
 * a device with the adapter's limits and for one with WebGPU's default limits.
 * It prints one line of JSON.
 *
 * @module
 */
import { allMessages } from "./install.ts";
import { PartStarts } from "../../src/gpu/part_starts.ts";
import {
  PipelineCache,
  type PipelineKey,
  shaderSource,
} from "../../src/gpu/pipelines.ts";
import type { GpuLimits, StorageType } from "../../src/gpu/limits.ts";
import {
  conditionGraph,
  decodeGraph,
  stepGraph,
} from "../../src/generate/generator.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { launchesOf, lower } from "../../src/graph/lowering.ts";
import { identityGraph, parserGraph } from "../../src/identity/identity.ts";
import {
  type ModelSizes,
  runShapeOf,
  SD15,
  sizesOf,
  syntheticModel,
} from "../../tools/bench/synthetic.ts";
import { KERNEL_PREFERENCES, PROMISED_LIMITS } from "../support/bindings.ts";
import { repositoryPath } from "../support/paths.ts";

/** What the process prints. */
export interface Report {
  /** Pipelines that were compiled, by model. */
  readonly pipelines: Readonly<Record<string, number>>;
  /** Shaders that differ. */
  readonly shaders: number;
  /** Errors of pipelines, and every error, warning and info of Tint's. */
  readonly messages: readonly string[];
}

/** Every graph of an image. */
function graphsOf(
  sizes: ModelSizes,
  storage: StorageType,
  weights: "f32" | "f16" | "q8" | "q4",
): Graph[] {
  const parts = syntheticModel(sizes, weights);
  const runShape = runShapeOf(parts, undefined, 1);
  const { crossAttentionDim: channels } = parts.unet.config;
  return [
    parserGraph(parts),
    identityGraph(storage, { ...parts, channels }),
    conditionGraph(storage, parts, runShape),
    stepGraph(storage, parts, runShape),
    stepGraph(storage, parts, { ...runShape, mergeTokens: 0.5 }),
    decodeGraph(storage, parts, runShape),
  ];
}

/** The pipelines of a graph, each once, by a text that tells them apart. */
function collect(
  graph: Graph,
  limits: GpuLimits,
  into: Map<string, PipelineKey>,
): void {
  for (const preferred of KERNEL_PREFERENCES) {
    const choice = new KernelChoice(
      graph,
      (_node, known) =>
        preferred.find((name) => known.includes(name)) ?? known[0],
    );
    for (const step of lower(choice, limits)) {
      const { storage } = step.node;
      for (const launch of launchesOf(step)) {
        const access = launch.bind.map(({ access }) => access);
        const { shader, code, defines, types, constants } = launch;
        const rest = [storage, access, defines, types, constants];
        const text = `${shader} ${code.length} ${JSON.stringify(rest)}`;
        if (!into.has(text)) {
          into.set(text, {
            shader,
            code,
            defines,
            types,
            constants,
            storage,
            access,
          });
        }
      }
    }
  }
}

/** Compiles pipelines on a device; what it refuses is added to `messages`. */
async function compile(
  device: GPUDevice,
  keys: Iterable<PipelineKey>,
  messages: string[],
): Promise<void> {
  const cache = new PipelineCache(device, new PartStarts(device).layout);
  for (const key of keys) {
    device.pushErrorScope("validation");
    cache.get(key);
    const error = await device.popErrorScope();
    if (error) messages.push(`${key.shader}: ${error.message}`);
  }
}

if (import.meta.main) {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("Dawn found no adapter");
  const messages: string[] = [];
  const all = new Map<string, PipelineKey>();
  const pipelines: Record<string, number> = {};
  const mini = await sizesOf(repositoryPath("weights/mini"));
  for (const sizes of [mini, SD15]) {
    const own = new Map<string, PipelineKey>();
    for (const storage of ["f32", "f16"] as const) {
      for (const weights of ["f32", "f16", "q8", "q4"] as const) {
        for (const graph of graphsOf(sizes, storage, weights)) {
          for (const limits of [adapter.limits, PROMISED_LIMITS]) {
            collect(graph, limits, own);
          }
        }
      }
    }
    pipelines[sizes.name] = own.size;
    for (const [text, key] of own) all.set(text, key);
  }
  const keys = [...all.values()];
  const requiredFeatures: GPUFeatureName[] = ["shader-f16"];
  const { limits } = adapter;
  const largest = Object.fromEntries(
    ([
      "maxStorageBufferBindingSize",
      "maxBufferSize",
      "maxComputeInvocationsPerWorkgroup",
      "maxComputeWorkgroupSizeX",
      "maxComputeWorkgroupStorageSize",
      "maxStorageBuffersPerShaderStage",
    ] as const).map((name) => [name, limits[name]]),
  );
  for (const requiredLimits of [{}, largest]) {
    const device = await (await navigator.gpu.requestAdapter())!
      .requestDevice({ requiredFeatures, requiredLimits });
    await compile(device, keys, messages);
    device.destroy();
  }
  const report: Report = {
    pipelines,
    shaders: new Set(keys.map(shaderSource)).size,
    messages: [...messages, ...await allMessages()],
  };
  console.log(JSON.stringify(report));
  Deno.exit(0);
}
