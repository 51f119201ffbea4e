/**
 * The bench: its command line, its sums, its checks.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { StorageType } from "../src/gpu/gpu.ts";
import { elementCount } from "../src/ops/op.ts";
import { medianTimes } from "../tools/bench/clock.ts";
import { compareReports, timesOf } from "../tools/bench/compare.ts";
import { UsageError } from "../src/host/exit.ts";
import { benchOps, requireRight } from "../tools/bench/ops.ts";
import { makeOwn } from "../tools/bench/own.ts";
import {
  headsAtOnce,
  joinHeads,
  PACKAGES,
  type Peer,
  splitHeads,
  startPeer,
  transposed,
} from "../tools/bench/peers/peer.ts";
import { shareOfRoofline } from "../tools/bench/roofline.ts";
import { figure, type Table, tableText } from "../tools/bench/table.ts";
import {
  attend,
  batched,
  conv,
  dense,
  flopsOf,
  inputsOf,
  layerNorm,
  norm,
  outputOf,
  type Work,
  type WorkRow,
  WORKS,
} from "../tools/bench/work.ts";
import {
  expected,
  halved,
  makeValues,
  sampleError,
} from "../tools/bench/reference.ts";
import {
  chosenDtype,
  chosenSections,
  chosenSize,
  main,
  OPTIONS,
  USAGE,
} from "../tools/bench.ts";
import { readOptions } from "../tools/tool.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

/** The bench's command line. */
function asked(...args: string[]) {
  const read = readOptions(args, OPTIONS);
  if (read === "help") throw new Error("no help was asked for");
  return read.values;
}

Deno.test("bench: without a part named, ops, image and faces are timed", () => {
  const sections = (...args: string[]) => chosenSections(asked(...args));
  assertEquals(sections(), ["picture", "faces", "ops"]);
  assertEquals(sections("--roofline"), ["roofline", "ops"]);
  assertEquals(sections("--roofline", "--step"), ["roofline", "step"]);
  assertEquals(sections("--paper"), ["paper"]);
  assertEquals(chosenSize(asked("--width", "96")), [96, 96]);
  assertEquals(chosenSize(asked("--width=96", "--height=64")), [96, 64]);
  assertEquals(chosenSize(asked()), undefined);
  assertEquals(asked("--batch", "2").batch, 2);
  assertEquals(chosenDtype(asked("--weights", "f32")), "f32");
  assertEquals(chosenDtype(asked("--weights", "q4")), undefined);
  assertEquals(asked("--sizes", "64,96").sizes, [64, 96]);
  assertEquals(asked("--gpu", "12,360,5").gpu?.gflops, 12_000);
});

Deno.test("bench: wrong usage is refused, and ends with 2", async () => {
  const wrong: [string[], string][] = [
    [["--opps"], "--opps"],
    [["picture"], "picture"],
    [["--dtype", "f64"], "--dtype is f64, expected f16 or f32"],
    [["--steps", "0"], "--steps is 0, expected a whole number from 1 to 1000"],
    [["--batch", "many"], "--batch is many, expected a whole number from 1 to"],
    [["--rounds", "2.5"], "--rounds is 2.5, expected a whole number"],
    [["--width", "-8"], "--width is -8"],
    [["--weights", "q2"], "--weights is q2, expected f32, f16, q8, q4"],
    [["--weights", "f16", "--dtype", "f32"], "--weights f16 goes with"],
    [["--sizes", "64,x"], "--sizes is x, expected a whole number"],
    [["--batches", ""], "--batches is '', expected a whole number"],
    [["--gpu", "12,360"], "--gpu is 12,360, expected TFLOP/s, GB/s and micro"],
  ];
  for (const [args, message] of wrong) {
    assertThrows(() => chosenDtype(asked(...args)), UsageError, message);
  }
  assertEquals(await main(["--ops", "--only", "no such row"]), 2);
  assertEquals(await main(["--batch"]), 2);
  assertEquals(await main(["--paper", "--weights=f16", "--dtype=f32"]), 2);
  assertEquals(await main(["--faces", "--compare", "no such file"]), 1);
});

Deno.test("bench: reports are compared row by row", () => {
  const ops = (...times: [string, number][]): Table => ({
    section: "ops",
    subject: "f32",
    rows: times.map(([shapes, time]) => ({
      labels: ["conv", shapes],
      figures: [
        figure("NMSE", 1e-12, "NMSE"),
        figure("time", time, "ms"),
        figure("shaders", "a"),
      ],
    })),
  });
  const image = (step: number): Table => ({
    section: "image",
    subject: "128×96, 30 steps, f16",
    rows: [
      { labels: ["step"], figures: [figure("", step, "ms")] },
      { labels: ["decode"], figures: [figure("", 0.4, "s")] },
      {
        labels: ["choosing kernels"],
        figures: [{ ...figure("", 0, "s"), once: true }],
      },
      { labels: ["peak GPU memory"], figures: [figure("", 1e6, "bytes")] },
    ],
  });
  // An op by two shaders is one row.
  const old = { tables: [image(300), ops(["a", 60], ["a", 40], ["b", 10])] };
  const now = { tables: [image(150), ops(["b", 12], ["a", 109], ["c", 1])] };
  assertEquals([...timesOf(old)], [
    ["image, 128×96, 30 steps, f16, step", 300],
    ["image, 128×96, 30 steps, f16, decode", 400],
    ["ops, f32, conv, a, time", 100],
    ["ops, f32, conv, b, time", 10],
  ]);
  const { rows, notes } = compareReports(old, now, "old.json");
  assertEquals(
    rows.map(({ labels, figures }) => [
      labels[0].split(", ").slice(-2).join(" "),
      ...figures.slice(2).map(({ value }) => value),
    ]),
    [
      ["f16 step", 0.5, ""],
      ["f16 decode", 1, ""],
      ["b time", 1.2, "SLOWER"],
      ["a time", 1.09, ""],
    ],
  );
  const mean = ((0.5 * 1.2 * 1.09) ** 0.25).toFixed(2);
  assertEquals(notes, [
    `4 rows, geometric mean ${mean}, 1 slower by more than 10 %; ` +
    "0 only in the old report, 1 only in the new one",
  ]);
  const none = compareReports({ tables: [] }, now, "old.json");
  assertEquals(none.rows, []);
  assert(none.notes![0].startsWith("0 rows, geometric mean 1.00"));
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
  const text = tableText({
    section: "ops",
    subject: "f32",
    rows: [
      {
        labels: ["conv", "3×3"],
        figures: [figure("time", 10, "ms"), figure("speed", undefined, "GB/s")],
      },
      {
        labels: ["norm"],
        figures: [
          figure("time", 0.654, "ms"),
          figure("speed", 123.4, "GB/s"),
          figure("shaders", "a, b"),
        ],
      },
    ],
    notes: ["a note"],
  });
  assertEquals(text.split("\n"), [
    "ops: f32",
    "                time     speed  shaders",
    "  conv  3×3  10.0 ms",
    "  norm       0.65 ms  123 GB/s  a, b",
    "  a note",
  ]);
});

/** One small op of each kind. */
const small: readonly Work[] = [
  dense(5, 12, 7),
  { ...conv(5, 8, 6), batch: 2 },
  { ...attend(5, 7, 2, 8), batch: 2 },
  { ...norm(4, 8, 2), batch: 2 },
  layerNorm(6, 12),
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
      assertEquals(result.length, elementCount(outputOf(work)));
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

gpuTest("bench: the mini model's rows, of two images at once", async () => {
  const gpu = await sharedGpu();
  const rows = WORKS.filter(({ name }) => /^mini.*(attention|norm)/.test(name))
    .map((row): WorkRow => batched(row, 2));
  assertEquals(rows.length, 3);
  const effort = { rounds: 1, sample: 1 };
  const storages: readonly StorageType[] = gpu.hasF16
    ? ["f32", "f16"]
    : ["f32"];
  for (const storage of storages) {
    const table = await benchOps(gpu, { storage, rows, effort });
    requireRight([table]);
    for (const { labels, figures } of table.rows) {
      const value = (name: string) =>
        figures.find((each) => each.name === name)?.value;
      assert(Number(value("time")) > 0, labels.join(" "));
      assert(Number(value("speed")) > 0 && value("shaders") !== "");
    }
  }
});

Deno.test("bench: of two images twice as much is computed", () => {
  for (const row of WORKS) {
    const two = batched(row, 2).work;
    assertEquals(flopsOf(two), 2 * flopsOf(row.work));
    assertEquals(
      elementCount(outputOf(two)),
      2 * elementCount(outputOf(row.work)),
    );
    const weights = (work: Work) =>
      inputsOf(work).filter(({ weight }) => weight);
    assertEquals(weights(two), weights(row.work));
  }
});

Deno.test("bench: values have variance 1, and f16's rounding is applied", () => {
  const [x] = makeValues(layerNorm(100, 100));
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
  const heads = { heads: 3, width: 2 };
  const split = splitHeads(x, heads);
  assertEquals([...split.subarray(8, 16)], [2, 3, 8, 9, 14, 15, 20, 21]);
  assertEquals(joinHeads([split], heads), x);
  const parts = [0, 8, 16].map((at) => split.subarray(at, at + 8));
  assertEquals(joinHeads(parts, heads), x);
  const device = { limits: { maxStorageBufferBindingSize: 4 * 2 * 35 } };
  const attention = (heads: number) =>
    headsAtOnce(attend(5, 7, heads, 8), device as GPUDevice);
  assertEquals([attention(2), attention(3)], [2, 1]);
});

gpuTest(
  "bench: an engine that is wrong or missing gets no time, and a reason",
  async () => {
    const gpu = await sharedGpu();
    const work = layerNorm(6, 12);
    const values = makeValues(work);
    const { indices, values: right } = expected(work, values);
    const result = new Float32Array(elementCount(outputOf(work)));
    indices.forEach((index, i) => result[index] = right[i]);
    const engine = (name: string, values: Float32Array): Peer => ({
      name,
      make: () => ({
        queue() {},
        wait: () => new Promise((done) => setTimeout(done, 1)),
        read: () => Promise.resolve(values),
        [Symbol.dispose]() {},
      }),
    });
    const table = await benchOps(gpu, {
      storage: "f32",
      rows: [{ name: "a norm", work }],
      effort: { rounds: 1, sample: 0.01 },
      peers: [
        engine("right", result),
        engine("wrong", new Float32Array(result.length)),
        await startPeer("missing", () => Promise.reject(new Error("no GPU"))),
      ],
    });
    const [{ figures }] = table.rows;
    const value = (name: string) =>
      figures.find((each) => each.name === name)?.value;
    assertEquals(value("least ratio"), value("right ratio"));
    assert(typeof value("right") === "number");
    for (const name of ["wrong", "missing"]) {
      assertEquals(value(name), undefined);
      assertEquals(value(`${name} ratio`), undefined);
    }
    assertEquals(table.notes!.slice(-2), [
      "wrong, a norm 6×12: wrong: NMSE 1.0e+0",
      "missing, a norm 6×12: cannot run it: it does not start: no GPU",
    ]);
  },
);

Deno.test("bench: a wrong result fails it, by name", () => {
  const rows = [{
    labels: ["conv", "3×3"],
    figures: [figure("time", undefined, "ms")],
  }];
  const tables = [{ section: "ops", subject: "f32", rows }];
  assertThrows(() => requireRight(tables), MasterWeaverError, "f64: conv 3×3;");
});

Deno.test("bench: --help lists every option of its README", async () => {
  const path = repositoryPath("tools/bench/README.md");
  const section = (await Deno.readTextFile(path)).split("## Less work")[0];
  const options = section.match(/--[a-z][a-z-]*/g) ?? [];
  assert(options.length > 8);
  for (const option of options) {
    assert(USAGE.includes(`${option} `), `${option} is not there`);
  }
});
