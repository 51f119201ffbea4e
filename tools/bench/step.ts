/**
 * Times one denoising step of a model with synthetic weights, whole and
 * dispatch by dispatch.
 *
 * @module
 */
import { stepGraph } from "../../src/generate/generator.ts";
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { elementCount } from "../../src/ops/op.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { CallCounter, callsLine } from "./call_counter.ts";
import { spent } from "./clock.ts";
import { countDispatches, type DispatchCost, sumBy, total } from "./cost.ts";
import { type ModelSizes, runShapeOf, syntheticModel } from "./synthetic.ts";
import { adapterKernels, makePlan } from "./plans.ts";
import { type Roofline, shareOfRoofline } from "./roofline.ts";
import { figure, measured, type Row, single, type Table } from "./table.ts";

/** A step to time. */
export interface StepTask {
  readonly sizes: ModelSizes;
  /** Storage of activations. */
  readonly dtype: StorageType;
  /** Storage of weights. */
  readonly weights: ModelDtype;
  /** Columns and rows of the image; the model's own where not given. */
  readonly size?: readonly [number, number];
  /** Images at once; guidance is on, so that twice as many are computed. */
  readonly batch: number;
}

/** A step's graph, what it is built from, and the image's size. */
export function planStep({ sizes, dtype, weights, size, batch }: StepTask) {
  const components = syntheticModel(sizes, weights);
  const runShape = runShapeOf(components, size, batch);
  const { factor } = components.vae.config;
  return {
    components,
    runShape,
    graph: stepGraph(dtype, components, runShape),
    size: [factor * runShape.width, factor * runShape.height] as const,
  };
}

/** Makes everything a step needs. */
export async function makeStep(gpu: Gpu, task: StepTask) {
  const { graph, size } = planStep(task);
  await using stack = new AsyncDisposableStack();
  const store = stack.use(new WeightStore(gpu));
  const plan = stack.use(await makePlan(gpu, graph, store));
  const images = elementCount(graph.inputs.get("t")!.shape);
  const t = new Float32Array(images).fill(500);
  const coefficients = Float32Array.of(1, -0.01);
  stack.defer(() => gpu.idle());
  const owned = stack.move();
  return {
    plan,
    size,
    /** What each dispatch costs, in order. */
    costs: countDispatches(adapterKernels(gpu, graph), gpu.limits),
    /** Writes what a step is given, and queues it. */
    run() {
      plan.write("t", t);
      plan.write("coefficients", coefficients);
      plan.run();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Times one step, after one that warms up.
 *
 * @param profiled whether each dispatch is timed too, in another step
 * @throws {MasterWeaverError} `gpu` where that is asked of an adapter without timestamps
 */
export async function timeStep(gpu: Gpu, task: StepTask, profiled = false) {
  gpu.buffers.resetPeak();
  const before = gpu.buffers.bytes;
  await using step = await makeStep(gpu, task);
  const run = () => {
    step.run();
    return gpu.idle();
  };
  await run();
  // A wait costs 10 ms by itself.
  const idle = await spent(() => gpu.idle());
  using counter = new CallCounter();
  const milliseconds = await spent(run) - idle;
  const { calls } = counter;
  const peakBytes = gpu.buffers.peakBytes - before;
  const times = profiled ? await step.plan.profile() : [];
  return {
    size: step.size,
    milliseconds,
    gflops: total(step.costs, ({ flops }) => flops) / milliseconds / 1e6,
    peakBytes,
    calls,
    profile: times.map((time, i): TimedCost => ({ ...step.costs[i], time })),
  };
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
): Promise<Table[]> {
  const timed = await timeStep(gpu, task, true);
  const { profile, gflops } = timed;
  const subject = describeStep(task, timed.size);
  const alone = total(profile, ({ time }) => time);
  const slowest = slowestConv(profile);
  const notes = slowest && [
    `slowest large convolution: ${measured(slowest.gflops, "GFLOP/s")}, ` +
    `${slowest.shape}; the step runs at ${
      measured(gflops / slowest.gflops, "share")
    } of that speed`,
  ];
  const rows = [
    single("all dispatches, each by itself", alone, "ms"),
    single("as a whole", timed.milliseconds, "ms"),
    single("speed", gflops, "GFLOP/s"),
    single("peak GPU memory", timed.peakBytes, "bytes"),
  ];
  return [
    { section: "step", subject, rows: profileRows(profile, roofline), notes },
    { section: "step", subject, rows, notes: [callsLine(timed.calls)] },
  ];
}

/** What is timed, for a heading. */
export function describeStep(
  { sizes, dtype, weights, batch }: StepTask,
  size: readonly number[],
): string {
  return `${sizes.name}, ${size.join("×")}, ${batch} at once, guidance on, ` +
    `activations ${dtype}, weights ${weights}`;
}

/** A dispatch and its milliseconds, on the GPU's own clock. */
export type TimedCost = DispatchCost & { readonly time: number };

/** Dispatches' times by kind of op and shader, the longest first. */
export function profileRows(
  costs: readonly TimedCost[],
  roofline?: Roofline,
): Row[] {
  const all = total(costs, ({ time }) => time);
  return sumBy(costs, ({ kind, shader }) => `${kind}\n${shader}`)
    .map(({ members, ...sum }) => {
      const milliseconds = total(members, ({ time }) => time);
      return { ...sum, milliseconds, shader: members[0].shader };
    })
    .sort((a, b) => b.milliseconds - a.milliseconds)
    .map(({ name, shader, dispatches, flops, bytes, milliseconds }) => {
      const speed = flops > 0 ? flops / milliseconds / 1e6 : undefined;
      const share = roofline &&
        shareOfRoofline(roofline, { flops, bytes }, milliseconds);
      return {
        labels: [name.split("\n")[0]],
        figures: [
          figure("shader", shader),
          figure("dispatches", dispatches),
          figure("time", milliseconds, "ms"),
          figure("share", milliseconds / all, "share"),
          figure("speed", speed, "GFLOP/s"),
          // Of what is bound, each byte once.
          figure("bandwidth", bytes / milliseconds / 1e6, "GB/s"),
          ...roofline ? [figure("of ceiling", share, "share")] : [],
        ],
      };
    });
}

/** The big convolution (half the flops of the largest, or more) with the fewest GFLOP/s. */
function slowestConv(costs: readonly TimedCost[]) {
  const convs = sumBy(costs, ({ op }) => `${op}`)
    .filter(({ members: [{ kind }] }) => kind.startsWith("conv2d"))
    .map(({ members, flops }) => ({
      shape: `${members[0].kind} ${members[0].shape}`,
      flops,
      gflops: flops / total(members, ({ time }) => time) / 1e6,
    }));
  const largest = Math.max(0, ...convs.map(({ flops }) => flops));
  return convs.filter(({ flops }) => flops >= largest / 2)
    .sort((a, b) => a.gflops - b.gflops).at(0);
}
