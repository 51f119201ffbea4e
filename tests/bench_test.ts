/**
 * The bench: its command line, its sums, its checks.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { StorageType } from "../src/gpu/gpu.ts";
import { medianTimes } from "../tools/bench/clock.ts";
import { compareReports, timesOf } from "../tools/bench/compare.ts";
import { UsageError } from "../src/host/exit.ts";
import { parseFlags, USAGE } from "../tools/bench/flags.ts";
import { benchOps } from "../tools/bench/ops.ts";
import { makeOwn } from "../tools/bench/ours.ts";
import { peerLines } from "../tools/bench/peers.ts";
import type { PeerRow } from "../tools/bench/peers/measure.ts";
import {
  headOf,
  headsAtOnce,
  joinHeads,
  PACKAGES,
  transposed,
} from "../tools/bench/peers/peer.ts";
import { shareOfRoofline } from "../tools/bench/roofline.ts";
import {
  batched,
  count,
  flopsOf,
  inputsOf,
  outputOf,
  type Row,
  ROWS,
  type Work,
} from "../tools/bench/rows.ts";
import { tableLines } from "../tools/bench/table.ts";
import {
  expected,
  halved,
  makeValues,
  sampleError,
} from "../tools/bench/values.ts";
import { main } from "../tools/bench.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

Deno.test("bench: without a part named, ops, picture and faces are timed", () => {
  const sections = (...args: string[]) => [...parseFlags(args).sections];
  assertEquals(sections(), ["picture", "faces", "ops"]);
  assertEquals(sections("--roofline"), ["roofline", "ops"]);
  assertEquals(sections("--roofline", "--step"), ["roofline", "step"]);
  assertEquals(sections("--paper"), ["paper"]);
  const flags = parseFlags(["--ops", "--width", "96", "--batch", "2"]);
  assertEquals(flags.size, [96, 96]);
  assertEquals(flags.batch, 2);
  assertEquals(parseFlags(["--weights", "f32"]).dtype, "f32");
  assertEquals(parseFlags(["--weights", "q4"]).dtype, undefined);
  assertEquals(parseFlags(["--sizes", "64,96"]).sides, [64, 96]);
});

Deno.test("bench: wrong usage is refused, and ends with 2", async () => {
  const wrong: [string[], string][] = [
    [["--opps"], "--opps"],
    [["picture"], "picture"],
    [["--dtype", "f64"], "f16 or f32, got f64"],
    [["--steps", "0"], "--steps must be a whole number from 1 to 1000, got 0"],
    [["--batch", "many"], "--batch must be a whole number from 1 to 16"],
    [["--rounds", "2.5"], "--rounds must be a whole number"],
    [["--width", "-8"], "--width"],
    [["--weights", "q2"], "--weights must be f32, f16, q8, q4, got q2"],
    [["--weights", "f16", "--dtype", "f32"], "--weights f16 goes with"],
    [["--sizes", "64,x"], "--sizes must be a whole number"],
    [["--batches", ""], "--batches must be a whole number"],
    [["--gpu", "12,360"], "--gpu must be TFLOP/s, GB/s and microseconds"],
  ];
  for (const [args, message] of wrong) {
    assertThrows(() => parseFlags(args), UsageError, message);
  }
  assertEquals(await main(["--ops", "--only", "no such row"]), 2);
  assertEquals(await main(["--batch"]), 2);
  assertEquals(await main(["--faces", "--compare", "no such file"]), 1);
});

Deno.test("bench: reports are compared row by row", () => {
  const timing = (shapes: string, milliseconds: number) => ({
    name: "conv",
    shapes,
    dtype: "f32",
    milliseconds,
  });
  const old = {
    image: { size: [128, 96], dtype: "f16", step: 0.3, decode: 0.4 },
    ops: { dtype: "f32", timings: [timing("a", 100), timing("b", 10)] },
  };
  const now = {
    image: { size: [128, 96], dtype: "f16", step: 0.15, decode: 0.4 },
    ops: {
      dtype: "f32",
      timings: [timing("b", 12), timing("a", 109), timing("c", 1)],
    },
  };
  assertEquals([...timesOf(old).keys()], [
    "picture 128×96 f16 step",
    "picture 128×96 f16 decode",
    "ops f32 conv, a, f32",
    "ops f32 conv, b, f32",
  ]);
  const { rows, gone, added, mean } = compareReports(old, now);
  assertEquals(
    rows.map(({ name, ratio, slower }) => [name, ratio, slower]),
    [
      ["picture 128×96 f16 step", 0.5, false],
      ["picture 128×96 f16 decode", 1, false],
      ["ops f32 conv, b, f32", 1.2, true],
      ["ops f32 conv, a, f32", 1.09, false],
    ],
  );
  assertEquals([gone, added], [[], ["ops f32 conv, c, f32"]]);
  assert(Math.abs(mean - (0.5 * 1.2 * 1.09) ** 0.25) < 1e-12);
  assertEquals(compareReports({}, now).rows, []);
  assertEquals(compareReports({}, {}).mean, 1);
});

Deno.test("bench: contenders take turns, as many runs each", async () => {
  const log: string[] = [];
  const contender = (name: string) => ({
    queue: () => void log.push(name),
    wait: () => new Promise<void>((done) => setTimeout(done, 2)),
  });
  const times = await medianTimes([contender("a"), contender("b")], {
    rounds: 2,
    sample: 0.02,
  });
  assertEquals(times.length, 2);
  const runs = (name: string) => log.filter((each) => each === name).length;
  assertEquals(runs("a"), runs("b"));
});

Deno.test("bench: a share of the ceiling is that of what limits", () => {
  const roofline = { gflops: 100, gigabytes: 10 };
  const share = (flops: number, bytes: number) =>
    shareOfRoofline(roofline, { flops, bytes, milliseconds: 10 });
  assertEquals(share(5e8, 1), 0.5);
  assertEquals(share(0, 2e7), 0.2);
  assertEquals(share(5e8, 8e7), 0.8);
});

Deno.test("bench: a table's columns are as wide as their longest cell", () => {
  assertEquals(tableLines([["name", "ms"], ["a", "10.0", "x"]]), [
    "  name    ms",
    "  a     10.0  x",
  ]);
});

/** One small op of each kind. */
const small: readonly Work[] = [
  { kind: "linear", rows: 5, k: 12, n: 7 },
  { kind: "conv", batch: 2, side: 5, channels: 8, out: 6, kernel: 3 },
  { kind: "attention", batch: 2, queries: 5, keys: 7, heads: 2, width: 8 },
  { kind: "group norm + SiLU", batch: 2, side: 4, channels: 8, groups: 2 },
  { kind: "layer norm", rows: 6, channels: 12 },
];

gpuTest(
  "bench: ops are right on every element, and a wrong one is seen",
  async () => {
    const gpu = await sharedGpu();
    for (const work of small) {
      const values = makeValues(work);
      await using own = await makeOwn(gpu, "f32", work, values);
      own.queue();
      const result = await own.read();
      assertEquals(result.length, count(outputOf(work)));
      const right = expected(work, values);
      const error = sampleError(right, result);
      assert(error < 1e-10, `${work.kind}: NMSE ${error}`);
      result[0] += 0.1;
      assert(sampleError(right, result) > 1e-6, work.kind);
    }
  },
);

gpuTest("bench: every op's flops are those the op counts itself", async () => {
  const gpu = await sharedGpu();
  for (const work of small.filter((work) => flopsOf(work) > 0)) {
    await using own = await makeOwn(gpu, "f32", work, makeValues(work));
    assertEquals(own.flops, flopsOf(work));
  }
});

gpuTest("bench: the mini model's rows, of two pictures at once", async () => {
  const gpu = await sharedGpu();
  const rows = ROWS.filter(({ name }) => /^mini.*(attention|norm)/.test(name))
    .map((row): Row => batched(row, 2));
  assertEquals(rows.length, 3);
  const dtypes: readonly StorageType[] = gpu.hasF16 ? ["f32", "f16"] : ["f32"];
  for (const dtype of dtypes) {
    const timings = await benchOps(gpu, dtype, rows, { rounds: 1, sample: 1 });
    for (const { name, right, error, milliseconds, shaders } of timings) {
      assert(right, `${name} ${dtype}: NMSE ${error}`);
      assert(milliseconds > 0 && shaders.length > 0);
    }
  }
});

Deno.test("bench: of two pictures twice as much is computed", () => {
  for (const row of ROWS) {
    const two = batched(row, 2).work;
    assertEquals(flopsOf(two), 2 * flopsOf(row.work));
    assertEquals(count(outputOf(two)), 2 * count(outputOf(row.work)));
    const weights = (work: Work) =>
      inputsOf(work).filter(({ weight }) => weight);
    assertEquals(weights(two), weights(row.work));
  }
});

Deno.test("bench: values have variance 1, and f16's rounding is applied", () => {
  const [x] = makeValues({ kind: "layer norm", rows: 100, channels: 100 });
  const variance = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  assert(Math.abs(variance - 1) < 0.02);
  assertEquals(halved(Float32Array.of(0.1))[0], Math.f16round(0.1));
});

Deno.test("bench: other engines' versions are locked, apart from everyone's lock", async () => {
  const read = async (path: string) =>
    JSON.parse(await Deno.readTextFile(repositoryPath(path)));
  const { specifiers } = await read("tools/bench/peers/deno.lock");
  const packages = Object.values(PACKAGES).flat().toSorted();
  assertEquals(Object.keys(specifiers).toSorted(), packages);
  const own = await read("deno.lock");
  assertEquals(packages.filter((name) => name in own.specifiers), []);
});

Deno.test("bench: layouts for other engines go there and back", () => {
  const x = Float32Array.from({ length: 24 }, (_, i) => i);
  assertEquals([...transposed(x.subarray(0, 6), 1, 2, 3)], [0, 3, 1, 4, 2, 5]);
  assertEquals(transposed(transposed(x, 2, 3, 4), 2, 4, 3), x);
  const parts = [0, 1, 2].map((head) =>
    headOf(x, head, { heads: 3, width: 2 })
  );
  assertEquals([...parts[1]], [2, 3, 8, 9, 14, 15, 20, 21]);
  assertEquals(joinHeads(parts, 2), x);
  const device = { limits: { maxStorageBufferBindingSize: 4 * 2 * 35 } };
  const attention = (heads: number) =>
    ({ ...small[2], batch: 1, heads }) as Work & { kind: "attention" };
  assertEquals(headsAtOnce(attention(2), device as GPUDevice), 2);
  assertEquals(headsAtOnce(attention(3), device as GPUDevice), 1);
});

Deno.test("bench: an engine that is wrong or missing gets no time, and a reason", () => {
  const row: PeerRow = {
    name: "SD1.5 conv",
    shapes: "64×64 320→320, 3×3",
    dtype: "f32",
    shaders: ["conv2d f32"],
    milliseconds: 100,
    speed: 20,
    unit: "GFLOP/s",
    error: 1e-14,
    right: true,
    peers: [
      { engine: "a 1", milliseconds: 400, speed: 5, ratio: 4, error: 1e-13 },
      { engine: "b 2", error: 1, fault: "wrong: NMSE 1.0e+0" },
    ],
    least: 4,
  };
  const text = peerLines([row]).join("\n");
  assert(
    /conv +64×64 320→320, 3×3 +GFLOP\/s +20.0 +5.00 +4.00× +– +– +4.00×/.test(
      text,
    ),
    text,
  );
  assert(
    text.includes("b 2, SD1.5 conv 64×64 320→320, 3×3: wrong: NMSE 1.0e+0"),
  );
});

Deno.test("bench: --help lists every option of the README", async () => {
  const readme = await Deno.readTextFile(repositoryPath("README.md"));
  const section = readme.split("## How fast")[1].split("\n## ")[0];
  const options = section.match(/--[a-z][a-z-]*/g) ?? [];
  assert(options.length > 8);
  for (const option of options) {
    assert(USAGE.includes(`${option} `), `${option} is not there`);
  }
});
