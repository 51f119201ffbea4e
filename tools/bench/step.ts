/**
 * Times one denoising step of a model whose weights are made up, whole and
 * dispatch by dispatch.
 *
 * @module
 */
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import type { Graph } from "../../src/graph/graph.ts";
import type { Plan } from "../../src/graph/plan.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { stepGraph } from "../../src/generate/generator.ts";
import { elementCount } from "../../src/ops/op.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { callsLine, Census } from "./census.ts";
import { countDispatches, type DispatchCost, sumBy, total } from "./cost.ts";
import { layoutOf, madeUpComponents, type ModelSizes } from "./invented.ts";
import { adapterKernels, makePlan } from "./kernels.ts";
import { type Roofline, shareOfRoofline } from "./roofline.ts";
import { figure, measured, type Row, single, type Table } from "./table.ts";

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
  /** Images at once; guidance is on, so that twice as many are computed. */
  readonly batch: number;
}

/** Builds a step's graph. */
export function planStep(
  { sizes, dtype, weights, size, batch }: StepTask,
): { graph: Graph; size: readonly [number, number] } {
  const components = madeUpComponents(sizes, weights);
  const layout = layoutOf(components, size, batch);
  const { factor } = components.vae.config;
  return {
    graph: stepGraph(dtype, components, layout),
    size: [factor * layout.width, factor * layout.height],
  };
}

/** A step on the GPU, ready to run. */
export type ReadyStep = Awaited<ReturnType<typeof makeStep>>;

/** Makes everything a step needs. */
export async function makeStep(gpu: Gpu, task: StepTask) {
  const { graph, size } = planStep(task);
  await using stack = new AsyncDisposableStack();
  const store = stack.use(new WeightStore(gpu));
  const plan = stack.use(await makePlan(gpu, graph, store));
  writeInputs(plan, graph);
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

/** Gives every input of a plan values that differ. */
export function writeInputs(plan: Plan, graph: Graph): void {
  for (const [name, { shape }] of graph.inputs) {
    const length = elementCount(shape);
    plan.write(name, Float32Array.from({ length }, (_, i) => Math.sin(i * i)));
  }
}

/** A step's time. */
export type StepTiming = Awaited<ReturnType<typeof timeStep>>;

/**
 * Times one step, after one that warms up.
 *
 * @param then does more with the step before it is freed
 */
export async function timeStep(
  gpu: Gpu,
  task: StepTask,
  then?: (step: ReadyStep) => Promise<void>,
) {
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
  using census = new Census();
  const milliseconds = await spent(run) - idle;
  const { calls } = census;
  const peakBytes = gpu.buffers.peakBytes - before;
  await then?.(step);
  const gflops = total(step.costs, ({ flops }) => flops) / milliseconds / 1e6;
  return { size: step.size, milliseconds, gflops, peakBytes, calls };
}

/** Milliseconds of some work. */
export async function spent(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
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
  let costs: readonly TimedCost[] = [];
  const timing = await timeStep(gpu, task, async (step) => {
    const times = await step.plan.profile();
    costs = step.costs.map((cost, i) => ({ ...cost, time: times[i] }));
  });
  const { milliseconds, gflops, peakBytes, calls } = timing;
  const section = "step";
  const subject = describeStep(task, timing.size);
  const alone = total(costs, ({ time }) => time);
  const slowest = slowestConv(costs);
  const notes = slowest && [
    `slowest big convolution ${measured(slowest.gflops, "GFLOP/s")}, ` +
    `${slowest.shape}: the step reaches ${
      measured(gflops / slowest.gflops, "share")
    } of it`,
  ];
  return [
    { section, subject, rows: profileRows(costs, roofline), notes },
    {
      section,
      subject,
      rows: [
        single("all dispatches, each by itself", alone, "ms"),
        single("as a whole", milliseconds, "ms"),
        single("speed", gflops, "GFLOP/s"),
        single("peak GPU memory", peakBytes, "bytes"),
      ],
      notes: [callsLine(calls)],
    },
  ];
}

/** What is timed, for a heading. */
export function describeStep(
  { sizes, dtype, weights, batch }: StepTask,
  size: readonly [number, number],
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
        shareOfRoofline(roofline, { flops, bytes, milliseconds });
      return {
        labels: [name.split("\n")[0]],
        figures: [
          figure("shader", shader),
          figure("dispatches", dispatches),
          figure("time", milliseconds, "ms"),
          figure("share", milliseconds / all, "share"),
          figure("speed", speed, "GFLOP/s"),
          // Of what is bound, each byte once.
          figure("moved", bytes / milliseconds / 1e6, "GB/s"),
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
