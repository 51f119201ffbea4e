/**
 * What ranks do together, with ranks that are made up: order of calls, sums of
 * gradients, agreement, predicted scaling.
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { ownGpu } from "../src/host/mpi/own_gpu.ts";
import { anyRank, requireSame } from "../src/train/distributed/agreement.ts";
import {
  type Collectives,
  type Communicator,
  singleProcess,
} from "../src/train/distributed/communicator.ts";
import { InOrder } from "../src/train/distributed/in_order.ts";
import {
  type GradientBlocks,
  sumGradients,
} from "../src/train/distributed/sum_gradients.ts";

import {
  predictScaling,
  ringSeconds,
  scalingTable,
  type ScalingTask,
} from "../tools/train/scaling.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls that take a moment, as if another rank had the same numbers. */
function madeUpCalls(log: string[], fails?: string): Collectives {
  const call = async (name: string) => {
    log.push(`${name} starts`);
    await pause(5);
    if (name === fails) throw new Error(`${name} fails`);
    log.push(`${name} ends`);
  };
  return {
    async allReduceSum(values) {
      await call(`sum ${values[0]}`);
      values.forEach((value, i) => values[i] = 2 * value);
    },
    broadcast: (_, root) => call(`broadcast ${root}`),
    barrier: () => call("barrier"),
    async gather(value) {
      await call("gather");
      return [value, value];
    },
  };
}

class TwoRanks extends InOrder implements Communicator {
  readonly rank = 0;
  readonly size = 2;
}

/** Every call between a start and an end of its own. */
function names(log: readonly string[]): string[] {
  return log.filter((_, i) => i % 2 === 0).map((line, i) => {
    const name = line.replace(/ starts$/, "");
    assertEquals(log[2 * i + 1], `${name} ends`);
    return name;
  });
}

Deno.test("distributed: calls are made one at a time, sequences as one", async () => {
  const log: string[] = [];
  const ranks = new TwoRanks(madeUpCalls(log));
  const sequence = ranks.sequence(async (calls) => {
    await pause(10);
    await calls.allReduceSum(Float32Array.of(1));
    await pause(10);
    await calls.allReduceSum(Float32Array.of(2));
    return "done";
  });
  const after = [ranks.broadcast(new Uint8Array(1), 1), ranks.barrier()];
  assertEquals(await ranks.gather(7), [7, 7]);
  assertEquals(await sequence, "done");
  await Promise.all(after);
  assertEquals(names(log), [
    "sum 1",
    "sum 2",
    "broadcast 1",
    "barrier",
    "gather",
  ]);
});

Deno.test("distributed: after a call that failed none is made", async () => {
  const log: string[] = [];
  const ranks = new TwoRanks(madeUpCalls(log, "barrier"));
  const failing = ranks.barrier();
  const later = ranks.gather(1);
  await assertRejects(() => failing, Error, "barrier fails");
  await assertRejects(() => later, Error, "barrier fails");
  await assertRejects(() => ranks.gather(2), Error, "barrier fails");
  assertEquals(log, ["barrier starts"]);
});

/** Three blocks of one number each, which note when they are read and written. */
function madeUpBlocks(log: string[]) {
  const held = [1, 2, 3];
  const layout = held.map(() => ({
    places: [],
    bytes: 4,
    weightDecay: true,
    learningRateFactor: 1,
  }));
  const blocks: GradientBlocks = {
    layout,
    async readBlock(block, kind) {
      log.push(`read ${kind} ${block}`);
      await pause(1);
      return Float32Array.of(held[block]);
    },
    writeBlock(block, _, [value]) {
      log.push(`write ${block}`);
      held[block] = value;
    },
  };
  return { blocks, held };
}

Deno.test("distributed: a block is added up while the next is read", async () => {
  const log: string[] = [];
  const { blocks, held } = madeUpBlocks(log);
  const summing = sumGradients(blocks, new TwoRanks(madeUpCalls(log)));
  // Before anything else can be submitted.
  assertEquals(log, ["read gradients 0"]);
  await summing;
  assertEquals(held, [2, 4, 6]);
  assertEquals(log, [
    ...["read gradients 0", "read gradients 1", "sum 1 starts", "sum 1 ends"],
    ...["write 0", "read gradients 2", "sum 2 starts", "sum 2 ends"],
    ...["write 1", "sum 3 starts", "sum 3 ends", "write 2"],
  ]);
});

Deno.test("distributed: one process reads and writes no gradients", async () => {
  const log: string[] = [];
  const { blocks, held } = madeUpBlocks(log);
  await sumGradients(blocks, singleProcess);
  assertEquals([held, log], [[1, 2, 3], []]);
});

Deno.test("distributed: a block that cannot be read fails the sum once", async () => {
  const { blocks } = madeUpBlocks([]);
  const lost: GradientBlocks = {
    ...blocks,
    readBlock: (block, kind) =>
      block === 1
        ? Promise.reject(
          new MasterWeaverError("device-lost", "The GPU is gone"),
        )
        : blocks.readBlock(block, kind),
  };
  const ranks = new TwoRanks(madeUpCalls([]));
  await assertRejects(
    () => sumGradients(lost, ranks),
    MasterWeaverError,
    "The GPU is gone",
  );
  await assertRejects(() => ranks.barrier(), Error, "The GPU is gone");
});

Deno.test("distributed: ranks that differ are told in what", async () => {
  const ranks = (...all: Record<string, unknown>[]): Communicator => ({
    ...singleProcess,
    size: all.length,
    gather: <T>() => Promise.resolve(all as T[]),
  });
  await requireSame(ranks({ a: 1, b: [2] }, { b: [2], a: 1 }), {});
  const error = await assertRejects(
    () => requireSame(ranks({ a: 1 }, { a: 1 }, { a: 1, seed: 3 }), {}),
    MasterWeaverError,
    "seed is 3 for rank 2, but not given for rank 0",
  );
  assertEquals(error.code, "distributed");
});

Deno.test("distributed: one rank is enough to stop all", async () => {
  assertEquals(await anyRank(new TwoRanks(madeUpCalls([])), true), true);
  assertEquals(await anyRank(new TwoRanks(madeUpCalls([])), false), false);
  assertEquals(await anyRank(singleProcess, true), true);
});

const task: ScalingTask = {
  stepSeconds: 0.5,
  gradientBytes: 120e6,
  blockBytes: 40e6,
  accumulation: 2,
  hiddenSeconds: 0,
  perMachine: 8,
  memory: 40e9,
  link: 5e9,
  latency: 0,
  bus: 10e9,
};

Deno.test("scaling: a ring moves twice the bytes, whatever the ranks", () => {
  assertEquals(ringSeconds(8e9, 1, 1e9, 1), 0);
  assertEquals(ringSeconds(8e9, 2, 1e9, 0), 8);
  assertEquals(ringSeconds(8e9, 4, 1e9, 0.5), 15);
  assertAlmostEquals(ringSeconds(8e9, 1e6, 1e9, 0), 16, 1e-3);
});

Deno.test("scaling: blocks are read while others are added up", () => {
  // 4 ms of reading; 1.5 · 40 MB at 10 GB/s and 4 ms of writing are 10 ms a block.
  assertAlmostEquals(predictScaling(task, 4).exchange, 0.034, 1e-9);
  assertAlmostEquals(predictScaling(task, 4).update, 1.034, 1e-9);
  assertAlmostEquals(predictScaling(task, 4).speedUp, 4 / 1.034, 1e-9);
  const one = { exchange: 0, update: 1, speedUp: 1, efficiency: 1 };
  assertEquals(predictScaling(task, 1), one);
  // 20 ms of it are hidden, or all.
  const hidden = { ...task, hiddenSeconds: 0.02 };
  assertAlmostEquals(predictScaling(hidden, 4).update, 1.014, 1e-9);
  assertEquals(predictScaling({ ...task, hiddenSeconds: 1 }, 4).efficiency, 1);
});

Deno.test("scaling: links between machines count once there are several", () => {
  const slow = { ...task, link: 1e9 };
  const seconds = (gpus: number, of = task) =>
    predictScaling(of, gpus).exchange;
  assertEquals(seconds(8, slow), seconds(8));
  assert(seconds(16, slow) > seconds(16));
  // The memory of a machine is the narrower where the link is wide.
  assertAlmostEquals(
    seconds(16, { ...task, link: 1e12 }),
    0.004 + 3 * (1.875 * 40e6 / 5e9 + 0.004),
    1e-9,
  );
  const { rows } = scalingTable(task);
  assertEquals(rows.map(({ labels }) => labels[0]), [
    ...["1 GPU", "4 GPUs", "16 GPUs", "64 GPUs"],
  ]);
});

Deno.test("distributed: the ranks of a machine take its GPUs in turn", async () => {
  const root = await Deno.makeTempDir();
  try {
    const classes = {
      "0000:65:00.0": "0x030000",
      "0000:17:00.0": "0x030200",
      "0000:00:1f.2": "0x010601",
      "0000:b3:00.1": "0x040300",
    };
    assertEquals(ownGpu(0, root), undefined);
    for (const [name, value] of Object.entries(classes)) {
      await Deno.mkdir(`${root}/${name}`);
      await Deno.writeTextFile(`${root}/${name}/class`, `${value}\n`);
    }
    assertEquals([0, 1, 2].map((rank) => ownGpu(rank, root)), [
      "pci-0000_17_00_0",
      "pci-0000_65_00_0",
      "pci-0000_17_00_0",
    ]);
    // One GPU is everyone's.
    await Deno.remove(`${root}/0000:65:00.0`, { recursive: true });
    assertEquals(ownGpu(1, root), undefined);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
