/**
 * Times ops, this project's alone or by turns with other engines', each
 * checked against f64 first.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { type Effort, medianTimes } from "./clock.ts";
import { makeOwn } from "./own.ts";
import { checkPeer, type Peer, PEER_TOLERANCE } from "./peers/peer.ts";
import { expected, halved, makeValues, sampleError } from "./reference.ts";
import { type Roofline, shareOfRoofline } from "./roofline.ts";
import { detail, figure, type Row, type Table, type Unit } from "./table.ts";
import { bytesOf, describeWork, flopsOf, type WorkRow } from "./work.ts";

/** Largest NMSE of an op, by storage type: those of the project's tests. */
export const TOLERANCE: Readonly<Record<StorageType, number>> = {
  f32: 1e-10,
  f16: 1e-6,
};

/** How ops are timed. */
export interface OpsTask {
  /** Storage of activations and weights; other engines store f32. */
  readonly storage: StorageType;
  /** The ops. */
  readonly rows: readonly WorkRow[];
  /** How long each is measured. */
  readonly effort: Effort;
  /** What the adapter can do at most, where that was measured. */
  readonly roofline?: Roofline;
  /** Other engines, by turns with this project's own ops. */
  readonly peers?: readonly Peer[];
  /** Called before each row. */
  readonly onRow?: (label: string) => void;
}

/** Times rows, one after the other. */
export async function benchOps(gpu: Gpu, task: OpsTask): Promise<Table> {
  const { storage, peers } = task;
  const rows: Row[] = [];
  const faults: string[] = [];
  for (const [i, row] of task.rows.entries()) {
    task.onRow?.(`${i + 1} of ${task.rows.length}: ${row.name}`);
    rows.push(await timeRow(gpu, task, row, faults));
  }
  const own = `each checked against f64: NMSE at most ${
    TOLERANCE[storage]
  }, else no time`;
  return {
    section: peers ? "peers" : "ops",
    subject: storage,
    rows,
    notes: peers
      ? [
        `${own}; ${PEER_TOLERANCE} of others, which store f32`,
        "ratio: their time over ours, by turns on the same adapter",
        ...faults,
      ]
      : [
        own,
        "oneDNN: published for two quiet cores, f32, in GFLOP/s or GB/s; not measured here",
      ],
  };
}

async function timeRow(
  gpu: Gpu,
  { storage, effort, roofline, peers = [] }: OpsTask,
  { name, work, oneDnn }: WorkRow,
  faults: string[],
): Promise<Row> {
  const labels = [name, describeWork(work)];
  const values = makeValues(work);
  const exact = expected(work, values);
  await using own = await makeOwn(gpu, storage, work, values);
  own.queue();
  const rounded = storage === "f16"
    ? expected(work, values.map(halved))
    : exact;
  const error = sampleError(rounded, await own.read());
  using stack = new DisposableStack();
  const others = [];
  for (const peer of peers) {
    others.push(await checkPeer(peer, work, values, exact, stack));
  }
  const running = others.flatMap(({ op }) => op ?? []);
  const [ownTime, ...times] = await medianTimes([own, ...running], effort);
  const flops = flopsOf(work);
  const unit: Unit = flops > 0 ? "GFLOP/s" : "GB/s";
  const elementBytes = storage === "f16" ? 2 : 4;
  const bytes = bytesOf(work, elementBytes);
  const speed = (time: number, size = elementBytes) =>
    (flops || bytesOf(work, size)) / time / 1e6;
  const milliseconds = error <= TOLERANCE[storage] ? ownTime : undefined;
  const ratios: number[] = [];
  const theirs = others.flatMap(({ engine, op, error, fault }) => {
    if (fault) faults.push(`${engine}, ${labels.join(" ")}: ${fault}`);
    const time = op && times[running.indexOf(op)];
    const ratio = time && time / ownTime;
    if (ratio) ratios.push(ratio);
    return [
      detail(`${engine} time`, time, "ms"),
      detail(`${engine} NMSE`, error, "NMSE"),
      figure(engine, time && speed(time, 4), unit),
      figure(`${engine} ratio`, ratio, "×"),
    ];
  });
  const share = roofline && milliseconds &&
    shareOfRoofline(roofline, { flops, bytes, milliseconds });
  const ownSpeed = milliseconds && speed(milliseconds);
  return {
    labels,
    figures: [
      figure("NMSE", error, "NMSE"),
      figure("time", milliseconds, "ms"),
      figure("speed", ownSpeed, unit),
      ...roofline ? [figure("of ceiling", share, "share")] : [],
      ...peers.length > 0
        ? [
          ...theirs,
          figure("least ratio", ratios.sort((a, b) => a - b)[0], "×"),
        ]
        : [
          figure("oneDNN", oneDnn, unit),
          figure("remains", oneDnn && ownSpeed && oneDnn / ownSpeed, "×"),
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
  throw new MasterWeaverError(
    "gpu",
    `Wrong results, compared with f64: ${
      wrong.map(({ labels }) => labels.join(" ")).join("; ")
    }; run the tests of the ops, deno test -A tests/ops_test.ts`,
  );
}
