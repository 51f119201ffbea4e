/**
 * Times ops: the shapes that take most of the mini model's time, and those of
 * Stable Diffusion 1.5 at 512×512.
 *
 * @module
 */
import type { Gpu, Real } from "../../src/gpu/gpu.ts";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan.ts";
import { attention } from "../../src/ops/attention.ts";
import { conv2d } from "../../src/ops/conv2d.ts";
import { groupNorm } from "../../src/ops/group_norm.ts";
import { layerNorm } from "../../src/ops/layer_norm.ts";
import { linear } from "../../src/ops/linear.ts";
import { elementCount, tensorBytes } from "../../src/ops/op.ts";

/** One op's time. */
export interface OpTiming {
  /** Which op, and which network has it. */
  readonly name: string;
  /** Shapes of its inputs and its output. */
  readonly shapes: string;
  /** Milliseconds of one run, the median. */
  readonly milliseconds: number;
  /** GFLOP/s, of ops bound by arithmetic. */
  readonly gflops?: number;
  /** GB/s read and written, of ops bound by memory. */
  readonly gigabytes?: number;
}

/** An op to time; `build` gets its inputs in order. */
interface Bench {
  readonly name: string;
  readonly inputs: readonly (readonly number[])[];
  readonly build: (g: Graph, ...inputs: Tensor[]) => Tensor;
  /** Whether it is bound by memory. */
  readonly memory?: boolean;
}

const conv = (
  name: string,
  size: number,
  channels: number,
  out: number,
  kernel = 3,
): Bench => ({
  name: `${name} conv ${kernel}×${kernel}`,
  inputs: [[1, size, size, channels], [out, kernel, kernel, channels], [out]],
  build: (g, x, weight, bias) => {
    const pad = kernel >> 1;
    const padding = [pad, pad, pad, pad] as const;
    return g.apply(conv2d, {
      x,
      weight,
      bias,
      shift: undefined,
      residual: undefined,
    }, { padding });
  },
});

const dense = (name: string, rows: number, k: number, n: number): Bench => ({
  name: `${name} linear`,
  inputs: [[rows, k], [n, k], [n]],
  build: (g, x, weight, bias) =>
    g.apply(linear, { x, weight, bias, residual: undefined }, {}),
});

const attend = (
  name: string,
  queries: number,
  keys: number,
  heads: number,
  width: number,
): Bench => ({
  name: `${name} attention`,
  inputs: [
    [1, queries, heads * width],
    [1, keys, heads * width],
    [1, keys, heads * width],
  ],
  build: (g, q, k, v) =>
    g.apply(attention, { q, k, v, identityScale: undefined }, { heads }),
});

const benches: readonly Bench[] = [
  conv("mini UNet", 32, 48, 48),
  conv("mini UNet", 32, 96, 48),
  conv("mini UNet", 16, 96, 96),
  conv("mini UNet", 8, 256, 128),
  conv("mini VAE", 128, 24, 24),
  conv("mini VAE", 64, 48, 48),
  dense("mini UNet", 512, 96, 768),
  attend("mini UNet, self", 256, 256, 4, 24),
  attend("mini UNet, text", 256, 125, 4, 24),
  conv("SD1.5", 64, 320, 320),
  conv("SD1.5", 16, 1280, 1280),
  dense("SD1.5", 4096, 320, 1280),
  dense("SD1.5", 256, 1280, 1280),
  attend("SD1.5, self", 4096, 4096, 8, 40),
  attend("SD1.5, text", 4096, 77, 8, 40),
  {
    name: "SD1.5 group norm + SiLU",
    inputs: [[1, 64, 64, 320], [320], [320]],
    build: (g, x, weight, bias) =>
      g.apply(groupNorm, { x, weight, bias }, {
        groups: 32,
        eps: 1e-5,
        activation: "silu",
      }),
    memory: true,
  },
  {
    name: "SD1.5 layer norm",
    inputs: [[1, 4096, 320], [320], [320]],
    build: (g, x, weight, bias) =>
      g.apply(layerNorm, { x, weight, bias }, { eps: 1e-5 }),
    memory: true,
  },
];

/** Samples of a run, at least this many milliseconds each. */
const SAMPLES = 3;
const SAMPLE = 100;
/** Runs of more milliseconds are timed once. */
const LONG = 2000;

/** Times every op; each is run once before it is timed. */
export async function benchOps(gpu: Gpu, real: Real): Promise<OpTiming[]> {
  const timings: OpTiming[] = [];
  for (const bench of benches) timings.push(await timeOp(gpu, real, bench));
  return timings;
}

async function timeOp(gpu: Gpu, real: Real, bench: Bench): Promise<OpTiming> {
  const g = new Graph(real);
  const inputs = bench.inputs.map((shape, i) =>
    g.input(`input${i}`, shape, real)
  );
  const y = bench.build(g, ...inputs);
  g.output("y", y);
  using plan = await Plan.make(gpu, g);
  inputs.forEach(({ shape }, i) =>
    plan.write(`input${i}`, wave(elementCount(shape)))
  );
  const milliseconds = await medianTime(gpu, plan);
  const perSecond = (count: number) => count / milliseconds / 1e6;
  const { source } = y;
  const flops = source.kind === "op" && !bench.memory
    ? source.op.flops?.(source.inputs, y, source.attributes)
    : undefined;
  const bytes = [inputs[0], y].reduce((sum, t) => sum + tensorBytes(t), 0);
  return {
    name: bench.name,
    shapes: [...bench.inputs.slice(0, 2), y.shape]
      .map((shape) => `(${shape.join(", ")})`).join(" "),
    milliseconds,
    ...(flops === undefined
      ? { gigabytes: perSecond(bytes) }
      : { gflops: perSecond(flops) }),
  };
}

/**
 * Milliseconds of one run, the median after a warm-up. Short runs are timed
 * several at once, for waiting on the GPU costs up to 10 ms by itself.
 */
async function medianTime(gpu: Gpu, plan: Plan): Promise<number> {
  const time = async (runs: number) => {
    const start = performance.now();
    for (let i = 0; i < runs; i++) plan.run();
    await gpu.idle();
    return (performance.now() - start) / runs;
  };
  await time(1);
  const first = await time(1);
  if (first > LONG) return first;
  const runs = Math.ceil(SAMPLE / first);
  const times: number[] = [];
  for (let i = 0; i < SAMPLES; i++) times.push(await time(runs));
  return times.sort((a, b) => a - b)[SAMPLES >> 1];
}

/** Values that differ, about as large as activations are. */
function wave(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 0.7));
}

/** The timings as lines for a person. */
export function opLines(timings: readonly OpTiming[], real: Real): string[] {
  const rows = timings.map((timing) => [
    timing.name,
    timing.shapes,
    `${timing.milliseconds.toFixed(1)} ms`,
    timing.gflops === undefined
      ? `${timing.gigabytes!.toFixed(2)} GB/s`
      : `${timing.gflops.toFixed(1)} GFLOP/s`,
  ]);
  const widths = rows[0].map((_, column) =>
    Math.max(...rows.map((row) => row[column].length))
  );
  return [
    `Ops, ${real}`,
    ...rows.map((row) =>
      "  " +
      row.map((cell, i) =>
        i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
      ).join("  ")
    ),
  ];
}
