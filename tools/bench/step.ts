/**
 * Times one denoising step of a model whose weights are made up, whole and
 * dispatch by dispatch.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { Plan } from "../../src/graph/plan.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { elementCount } from "../../src/ops/op.ts";
import { stepGraph } from "../../src/generate/generator.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { type Calls, callsLine, Census } from "./census.ts";
import { countDispatches, type DispatchCost } from "./cost.ts";
import { inventParts, type ModelSizes } from "./invented.ts";
import { layoutOf } from "./paper.ts";
import { type Roofline, shareOfRoofline } from "./roofline.ts";
import { figure, tableLines } from "./table.ts";

/** A step to time. */
export interface StepTask {
  /** The model. */
  readonly sizes: ModelSizes;
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** Storage of weights. */
  readonly weights: ModelDtype;
  /** Columns and rows of the image; the model's own where not given. */
  readonly size?: readonly [number, number];
  /** Images at once. */
  readonly batch: number;
}

/** A step's time. */
export interface StepTiming {
  /** The model. */
  readonly model: string;
  /** Columns and rows of the image. */
  readonly size: readonly [number, number];
  /** Images at once; guidance is on, so that twice as many are computed. */
  readonly batch: number;
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** Storage of weights. */
  readonly weights: ModelDtype;
  /** Milliseconds of one step, after another. */
  readonly milliseconds: number;
  /** GFLOP/s of products. */
  readonly gflops: number;
  /** Most bytes on the GPU: the UNet's weights and its plan. */
  readonly peakGpuBytes: number;
  /** What a step asks of WebGPU. */
  readonly calls: Calls;
}

/** A step on the GPU, ready to run. */
export interface ReadyStep extends AsyncDisposable {
  /** What runs. */
  readonly plan: Plan;
  /** What each dispatch costs, in order. */
  readonly costs: readonly DispatchCost[];
  /** Columns and rows of the image. */
  readonly size: readonly [number, number];
  /** Writes what a step is given, and queues it. */
  run(): void;
}

/** Makes everything a step needs. */
export async function makeStep(
  gpu: Gpu,
  { sizes, dtype, weights, size, batch }: StepTask,
): Promise<ReadyStep> {
  const parts = inventParts(sizes, weights);
  const layout = layoutOf(parts, size, batch);
  const graph = stepGraph(dtype, parts, layout);
  await using stack = new AsyncDisposableStack();
  const kernels = new KernelChoice(graph, new Tuner(gpu).choose);
  const store = stack.use(new WeightStore(gpu));
  await store.load(kernels.parameters);
  const plan = stack.use(
    await Plan.make(gpu, graph, { weights: [store], kernels }),
  );
  for (const [name, spec] of graph.inputs) {
    const length = elementCount(spec.shape);
    plan.write(name, Float32Array.from({ length }, (_, i) => Math.sin(i)));
  }
  const images = elementCount(graph.inputs.get("t")!.shape);
  const t = new Float32Array(images).fill(500);
  const coefficients = Float32Array.of(1, -0.01);
  const { factor } = parts.vae.config;
  stack.defer(() => gpu.idle());
  const owned = stack.move();
  return {
    plan,
    costs: countDispatches(graph, gpu.limits, kernels),
    size: [layout.width * factor, layout.height * factor],
    run() {
      plan.write("t", t);
      plan.write("coefficients", coefficients);
      plan.run();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Times one step, after one that warms up. */
export async function timeStep(gpu: Gpu, task: StepTask): Promise<StepTiming> {
  gpu.buffers.resetPeak();
  const before = gpu.buffers.bytes;
  await using step = await makeStep(gpu, task);
  const { milliseconds, calls } = await timeReady(gpu, step);
  return {
    model: task.sizes.name,
    size: step.size,
    batch: task.batch,
    dtype: task.dtype,
    weights: task.weights,
    milliseconds,
    gflops: flopsOf(step.costs) / milliseconds / 1e6,
    peakGpuBytes: gpu.buffers.peakBytes - before,
    calls,
  };
}

async function timeReady(
  gpu: Gpu,
  step: ReadyStep,
): Promise<{ milliseconds: number; calls: Calls }> {
  step.run();
  await gpu.idle();
  // A wait costs 10 ms by itself.
  const idle = await spent(() => gpu.idle());
  using census = new Census();
  const milliseconds = await spent(() => {
    step.run();
    return gpu.idle();
  });
  return { milliseconds: milliseconds - idle, calls: census.calls };
}

async function spent(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function flopsOf(costs: readonly DispatchCost[]): number {
  return costs.reduce((sum, { flops }) => sum + flops, 0);
}

/** What all dispatches of one kind and variant take of a step. */
export interface KindProfile {
  /** The kind of op. */
  readonly name: string;
  /** Its shader: which variant of the op ran. */
  readonly shader: string;
  /** Dispatches a step. */
  readonly dispatches: number;
  /** Milliseconds a step, on the GPU's own clock. */
  readonly milliseconds: number;
  /** Of all dispatches' time. */
  readonly share: number;
  /** GFLOP/s, where it has flops. */
  readonly gflops?: number;
  /** GB/s of what is bound, each byte once. */
  readonly gigabytes: number;
  /** Share of the adapter's ceiling, where that was measured. */
  readonly ofRoofline?: number;
}

/** A step by kind of op. */
export interface StepProfile extends StepTiming {
  /** By kind and variant, the longest first. */
  readonly kinds: readonly KindProfile[];
  /** The big convolution (half the flops of the largest, or more) with the fewest GFLOP/s. */
  readonly slowestConv?: { readonly shape: string; readonly gflops: number };
}

/**
 * Times one step, and each of its dispatches in another.
 *
 * @throws {MasterWeaverError} `gpu` where the adapter has no timestamps
 */
export async function profileStep(
  gpu: Gpu,
  task: StepTask,
  roofline?: Roofline,
): Promise<StepProfile> {
  gpu.buffers.resetPeak();
  const before = gpu.buffers.bytes;
  await using step = await makeStep(gpu, task);
  const { milliseconds, calls } = await timeReady(gpu, step);
  const peakGpuBytes = gpu.buffers.peakBytes - before;
  const times = await step.plan.profile();
  const { costs } = step;
  const slowestConv = slowest(costs, times);
  return {
    model: task.sizes.name,
    size: step.size,
    batch: task.batch,
    dtype: task.dtype,
    weights: task.weights,
    milliseconds,
    gflops: flopsOf(costs) / milliseconds / 1e6,
    peakGpuBytes,
    calls,
    kinds: profileKinds(costs, times, roofline),
    ...(slowestConv && { slowestConv }),
  };
}

/** Adds up dispatches' times by kind and variant. */
export function profileKinds(
  costs: readonly DispatchCost[],
  times: readonly number[],
  roofline?: Roofline,
): KindProfile[] {
  const all = times.reduce((sum, time) => sum + time, 0);
  const groups = Map.groupBy(
    costs.map((cost, i) => ({ ...cost, time: times[i] })),
    ({ kind, shader }) => `${kind}\n${shader}`,
  );
  return [...groups.values()].map((group): KindProfile => {
    const sum = (key: "flops" | "bytes" | "time") =>
      group.reduce((total, each) => total + each[key], 0);
    const milliseconds = sum("time");
    const [flops, bytes] = [sum("flops"), sum("bytes")];
    return {
      name: group[0].kind,
      shader: group[0].shader,
      dispatches: group.length,
      milliseconds,
      share: milliseconds / all,
      ...(flops > 0 && { gflops: flops / milliseconds / 1e6 }),
      gigabytes: bytes / milliseconds / 1e6,
      ...(roofline && {
        ofRoofline: shareOfRoofline(roofline, { flops, bytes, milliseconds }),
      }),
    };
  }).sort((a, b) => b.milliseconds - a.milliseconds);
}

function slowest(
  costs: readonly DispatchCost[],
  times: readonly number[],
): StepProfile["slowestConv"] {
  const timed = costs.map((cost, i) => ({ ...cost, time: times[i] }));
  const convs = [...Map.groupBy(timed, ({ op }) => op).values()]
    .filter(([{ kind }]) => kind.startsWith("conv2d"))
    .map((launches) => {
      const sum = (key: "flops" | "time") =>
        launches.reduce((total, each) => total + each[key], 0);
      const [{ kind, shape }] = launches;
      const flops = sum("flops");
      return {
        shape: `${kind} ${shape}`,
        flops,
        gflops: flops / sum("time") / 1e6,
      };
    });
  const largest = Math.max(0, ...convs.map(({ flops }) => flops));
  const [first] = convs.filter(({ flops }) => flops >= largest / 2)
    .sort((a, b) => a.gflops - b.gflops);
  return first && { shape: first.shape, gflops: first.gflops };
}

/** The profile as lines for a person. */
export function profileLines(profile: StepProfile): string[] {
  const { model, size, batch, dtype, weights, kinds, slowestConv } = profile;
  const withRoofline = kinds.some(({ ofRoofline }) => ofRoofline !== undefined);
  return [
    `A step of ${model}, ${size.join("×")}, ${batch} at once, guidance on, ` +
    `activations ${dtype}, weights ${weights}`,
    ...tableLines([
      [
        "",
        "shader",
        "dispatches",
        "time",
        "share",
        "GFLOP/s",
        "GB/s",
        ...(withRoofline ? ["of ceiling"] : []),
      ],
      ...kinds.map((kind) => [
        kind.name,
        kind.shader,
        `${kind.dispatches}`,
        `${figure(kind.milliseconds)} ms`,
        `${(kind.share * 100).toFixed(0)} %`,
        kind.gflops === undefined ? "" : figure(kind.gflops),
        figure(kind.gigabytes),
        ...(withRoofline
          ? [`${((kind.ofRoofline ?? 0) * 100).toFixed(0)} %`]
          : []),
      ]),
    ], [0, 1]),
    `  all dispatches, each by itself ${
      figure(kinds.reduce((sum, each) => sum + each.milliseconds, 0))
    } ms`,
    `  as a whole ${figure(profile.milliseconds)} ms, ${
      figure(profile.gflops)
    } GFLOP/s; ${callsLine(profile.calls)}; ${
      (profile.peakGpuBytes / 2 ** 20).toFixed(0)
    } MiB`,
    ...(slowestConv
      ? [
        `  slowest big convolution ${
          figure(slowestConv.gflops)
        } GFLOP/s, ${slowestConv.shape}: ` +
        `the step reaches ${
          (100 * profile.gflops / slowestConv.gflops).toFixed(0)
        } % of it`,
      ]
      : []),
  ];
}
