/**
 * Times ops, this project's alone or interleaved with other engines', each
 * checked against f64 first.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { readBuffers } from "../../src/gpu/readback.ts";
import { Graph } from "../../src/graph/graph.ts";
import { elementCount } from "../../src/ops/op.ts";
import { medianTimes, type Sampling } from "./clock.ts";
import { graphFlops, total } from "./cost.ts";
import { checkPeer, type Peer, PEER_TOLERANCE } from "./peers/peer.ts";
import { makePlan } from "./plans.ts";
import { type Roofline, shareOfRoofline } from "./roofline.ts";
import { detail, figure, type Row, type Table, type Unit } from "./table.ts";
import {
  checkerOf,
  describeSizes,
  halved,
  makeValues,
  type OpBenchmark,
  type OpValues,
} from "./op_benchmarks.ts";

/** Largest NMSE of an op, by storage type: those of the project's tests. */
const TOLERANCE: Readonly<Record<StorageType, number>> = {
  f32: 1e-10,
  f16: 1e-6,
};

/** How ops are timed. */
export interface OpsTask {
  /** Storage of activations and weights; other engines store f32. */
  readonly storage: StorageType;
  readonly benchmarks: readonly OpBenchmark[];
  readonly sampling: Sampling;
  /** What the adapter can do at most, where that was measured. */
  readonly roofline?: Roofline;
  /** Other engines, interleaved with this project's own ops. */
  readonly peers?: readonly Peer[];
  /** Called before each op. */
  readonly onRow?: (label: string) => void;
}

/** Puts an op on the GPU, its weight laid out as that of a model is. */
export async function makeOwn(
  gpu: Gpu,
  storage: StorageType,
  { op, attributes, inputs }: OpBenchmark,
  values: OpValues,
) {
  const g = new Graph(storage);
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]) =>
      [name, g.input(name, shape, storage)] as const
    ),
  );
  const y = g.apply(op, tensors, attributes);
  g.output("y", y);
  const plan = await makePlan(gpu, g);
  for (const name of g.inputs.keys()) plan.write(name, values[name]);
  const { buffer, offset } = plan.tensor("y").slice;
  const shaders = Map.groupBy(plan.listing, ({ shader }) => shader);
  return {
    /** In the order of first mention, with how often: `a`, `b ×3`. */
    shaders: [...shaders].map(([name, { length }]) =>
      length > 1 ? `${name} ×${length}` : name
    ),
    /** Floating-point operations; none are counted of a norm. */
    flops: graphFlops(g),
    /** What it must move at least: every input read once, the result written. */
    elements: total(
      [...Object.values(tensors), y],
      ({ shape }) => elementCount(shape),
    ),
    queue: () => plan.run(),
    // As others are waited for: by reading one word back.
    wait: async () =>
      void await readBuffers(gpu, [{ buffer, offset, size: 4 }]),
    read: async () => (await plan.read("y")).y as Float32Array,
    [Symbol.asyncDispose]: async () => {
      await gpu.idle();
      plan[Symbol.dispose]();
    },
  };
}

/** Times ops, one after the other. */
export async function benchOps(gpu: Gpu, task: OpsTask): Promise<Table> {
  const { storage, benchmarks, peers } = task;
  const rows: Row[] = [];
  const faults: string[] = [];
  for (const [i, benchmark] of benchmarks.entries()) {
    task.onRow?.(`${i + 1} of ${benchmarks.length}: ${benchmark.name}`);
    rows.push(await timeOp(gpu, task, benchmark, faults));
  }
  const own = "each checked against f64: NMSE at most " +
    `${TOLERANCE[storage]}, else no time`;
  return {
    section: peers ? "peers" : "ops",
    subject: storage,
    rows,
    notes: peers
      ? [
        `${own}; ${PEER_TOLERANCE} of others, which store f32`,
        "ratio: their time over ours, interleaved on the same adapter",
        ...faults,
      ]
      : [
        own,
        "oneDNN: published for two quiet cores, f32, in GFLOP/s or GB/s; not measured here",
      ],
  };
}

async function timeOp(
  gpu: Gpu,
  { storage, sampling, roofline, peers }: OpsTask,
  benchmark: OpBenchmark,
  faults: string[],
): Promise<Row> {
  const { name, oneDnn } = benchmark;
  const sizes = describeSizes(benchmark);
  const values = makeValues(benchmark);
  const exact = checkerOf(benchmark, values);
  await using own = await makeOwn(gpu, storage, benchmark, values);
  own.queue();
  const check = storage === "f16"
    ? checkerOf(benchmark, halved(values))
    : exact;
  const error = check(await own.read());
  using stack = new DisposableStack();
  const others: Awaited<ReturnType<typeof checkPeer>>[] = [];
  for (const peer of peers ?? []) {
    others.push(await checkPeer(peer, benchmark, values, exact, stack));
  }
  const running = others.flatMap(({ op }) => op ?? []);
  const [ownTime, ...times] = await medianTimes([own, ...running], sampling);
  const { flops, elements } = own;
  const unit: Unit = flops > 0 ? "GFLOP/s" : "GB/s";
  const bytes = elements * (storage === "f16" ? 2 : 4);
  const milliseconds = error <= TOLERANCE[storage] ? ownTime : undefined;
  const speed = milliseconds && (flops || bytes) / milliseconds / 1e6;
  const ratios: number[] = [];
  const theirs = others.flatMap(({ engine, op, error, fault }) => {
    if (fault) faults.push(`${engine}, ${name} ${sizes}: ${fault}`);
    const time = op && times[running.indexOf(op)];
    const ratio = time && time / ownTime;
    if (ratio) ratios.push(ratio);
    const speed = time && (flops || 4 * elements) / time / 1e6;
    return [
      detail(`${engine} time`, time, "ms"),
      detail(`${engine} NMSE`, error, "NMSE"),
      figure(engine, speed, unit),
      figure(`${engine} ratio`, ratio, "×"),
    ];
  });
  const share = roofline && milliseconds &&
    shareOfRoofline(roofline, { flops, bytes }, milliseconds);
  return {
    labels: [name, sizes],
    figures: [
      figure("NMSE", error, "NMSE"),
      figure("time", milliseconds, "ms"),
      figure("speed", speed, unit),
      ...roofline ? [figure("of ceiling", share, "share")] : [],
      ...peers
        ? [
          ...theirs,
          figure("least ratio", ratios.sort((a, b) => a - b)[0], "×"),
        ]
        : [
          figure("oneDNN", oneDnn, unit),
          figure("remains", oneDnn && speed && oneDnn / speed, "×"),
        ],
      figure("shaders", own.shaders.join(", ")),
    ],
  };
}

/**
 * A wrong result fails the bench, once everything has been shown.
 *
 * @throws {MasterWeaverError} `gpu` naming what is wrong
 */
export function requireRight(tables: readonly Table[]): void {
  const wrong = tables.filter(({ section }) =>
    section === "ops" || section === "peers"
  ).flatMap(({ rows }) => rows).filter(({ figures }) =>
    figures.some(({ name, value }) => name === "time" && value === undefined)
  );
  if (wrong.length === 0) return;
  const names = wrong.map(({ labels }) => labels.join(" ")).join("; ");
  throw new MasterWeaverError(
    "gpu",
    `Wrong results, compared with f64: ${names}; run the tests of the ops, deno test -A tests/ops_test.ts`,
  );
}
