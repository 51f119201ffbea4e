/**
 * A process that compiles every pipeline by Tint: every node of every graph of the
 * mini model and SD1.5, each kernel it has, each storage type of activations and
 * weights, and every op's cases, for a device with the adapter's limits and for
 * one with WebGPU's default limits.
 * It prints one line of JSON.
 *
 * @module
 */
import { allMessages } from "./install.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { PartStarts } from "../../src/gpu/part_starts.ts";
import {
  PipelineCache,
  type PipelineKey,
  shaderSource,
} from "../../src/gpu/pipelines.ts";
import type { GpuLimits, StorageType } from "../../src/gpu/limits.ts";
import { stepGraph } from "../../src/generate/generator.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { launchesOf } from "../../src/graph/lowering.ts";
import {
  type ModelSizes,
  runShapeOf,
  SD15,
  sizesOf,
  syntheticModel,
} from "../../tools/bench/synthetic.ts";
import { opCases } from "../ops/all_cases.ts";
import {
  KERNEL_PREFERENCES,
  preferredSteps,
  PROMISED_LIMITS,
} from "../support/bindings.ts";
import { imageGraphs } from "../support/full_size_plans.ts";
import { kernelNames, pipelinesOf } from "../support/op_tests.ts";
import { repositoryPath } from "../support/paths.ts";

/** What the process prints. */
export interface Report {
  /** How many different pipelines were compiled for each model, and for all ops. */
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
  return [
    ...Object.values(imageGraphs(storage, parts, runShape)),
    stepGraph(storage, parts, { ...runShape, mergeTokens: 0.5 }),
  ];
}

/** Pipelines by a text that tells them apart. */
class Pipelines extends Map<string, PipelineKey> {
  static readonly #codes = new Map<string, number>();

  /** Adds a pipeline, or another launch of one. */
  add(key: PipelineKey): void {
    const { shader, code, storage, access, defines, types, constants } = key;
    const rest = [storage, access, defines, types, constants];
    const codes = Pipelines.#codes;
    if (!codes.has(code)) codes.set(code, codes.size);
    this.set(`${shader} ${codes.get(code)} ${JSON.stringify(rest)}`, key);
  }
}

/** Adds the pipelines of a graph, with every kernel. */
function addGraph(
  graph: Graph,
  limits: GpuLimits,
  into: Pipelines,
): void {
  for (const preferred of KERNEL_PREFERENCES) {
    for (const step of preferredSteps(graph, preferred, limits)) {
      const { storage } = step.node;
      for (const launch of launchesOf(step)) {
        const access = launch.bind.map(({ access }) => access);
        into.add({ ...launch, storage, access });
      }
    }
  }
}

/** The pipelines of every op, those of gradients and training among them. */
function opPipelines(limits: GpuLimits): Pipelines {
  const pipelines = new Pipelines();
  for (const opCase of opCases) {
    for (const storage of ["f32", "f16"] as const) {
      for (const kernel of kernelNames(storage, opCase)) {
        for (const key of pipelinesOf(storage, opCase, kernel, limits)) {
          pipelines.add(key);
        }
      }
    }
  }
  return pipelines;
}

/** The pipelines of a model. */
function modelPipelines(sizes: ModelSizes, limits: GpuLimits): Pipelines {
  const pipelines = new Pipelines();
  for (const storage of ["f32", "f16"] as const) {
    for (const weights of ["f32", "f16", "q8", "q4"] as const) {
      for (const graph of graphsOf(sizes, storage, weights)) {
        addGraph(graph, limits, pipelines);
        addGraph(graph, PROMISED_LIMITS, pipelines);
      }
    }
  }
  return pipelines;
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
  const found = {
    mini: modelPipelines(
      await sizesOf(repositoryPath("weights/mini")),
      adapter.limits,
    ),
    "SD1.5": modelPipelines(SD15, adapter.limits),
    "all ops": opPipelines(adapter.limits),
  };
  const all = new Map(Object.values(found).flatMap((own) => [...own]));
  const keys = [...all.values()];
  const least = await adapter.requestDevice({
    requiredFeatures: ["shader-f16"],
  });
  const { device: most } = await Gpu.open();
  for (const device of [least, most]) await compile(device, keys, messages);
  const report: Report = {
    pipelines: Object.fromEntries(
      Object.entries(found).map(([name, { size }]) => [name, size]),
    ),
    shaders: new Set(keys.map(shaderSource)).size,
    messages: [...messages, ...await allMessages()],
  };
  console.log(JSON.stringify(report));
  Deno.exit(0);
}
