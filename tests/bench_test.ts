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
import { benchOps, makeOwn, requireRight } from "../tools/bench/ops.ts";
import {
  chosenDtype,
  chosenSize,
  OPTIONS,
  USAGE,
} from "../tools/bench/options.ts";
import {
  type Engine,
  headsAtOnce,
  peerOp,
  transposed,
} from "../tools/bench/peers/engine.ts";
import { PACKAGES, type Peer, startPeer } from "../tools/bench/peers/peer.ts";
import { shareOfRoofline } from "../tools/bench/roofline.ts";
import { figure, type Table, tableText } from "../tools/bench/table.ts";
import {
  checkerOf,
  chooseBenchmarks,
  EPS,
  halved,
  makeValues,
  type OpBenchmark,
} from "../tools/bench/op_benchmarks.ts";
import { chosenSections, main } from "../tools/bench.ts";
import { convCase, groupNormCase } from "./ops/image_cases.ts";
import { attentionCase, linearCase } from "./ops/matrix_cases.ts";
import { normal } from "./ops/op_case.ts";
import { layerNormCase } from "./ops/other_cases.ts";
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
    shareOfRoofline(roofline, { flops, bytes }, 10);
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

const oneNorm = layerNormCase("a norm", normal([6, 12]), EPS);

/** One small op of each kind. */
const small: readonly OpBenchmark[] = [
  linearCase("linear", [5], 12, 7, { bias: false }),
  convCase("conv", [2, 5, 5, 8], [6, 3, 3], {
    bias: false,
    padding: [1, 1, 1, 1],
  }),
  attentionCase("attention", [2, 5, 7, 2, 8]),
  groupNormCase("norm", [2, 4, 4, 8], 2, { activation: "silu", eps: EPS }),
  oneNorm,
];

gpuTest(
  "bench: ops are right on every element, and a wrong one is seen",
  async () => {
    const gpu = await sharedGpu();
    for (const benchmark of small) {
      const values = makeValues(benchmark);
      await using own = await makeOwn(gpu, "f32", benchmark, values);
      own.queue();
      const result = await own.read();
      const check = checkerOf(benchmark, values);
      const error = check(result);
      assert(error < 1e-10, `${benchmark.name}: NMSE ${error}`);
      result[0] += 0.1;
      assert(check(result) > 1e-6, benchmark.name);
    }
  },
);

gpuTest("bench: an op's flops and elements", async () => {
  const gpu = await sharedGpu();
  const counts = [
    [2 * 5 * 12 * 7, 5 * 12 + 12 * 7 + 5 * 7],
    [
      2 * (2 * 25 * 6) * (9 * 8),
      2 * 25 * 8 + 6 * 9 * 8 + 2 * 25 * 6,
    ],
    [4 * (2 * 5 * 16) * 7, 2 * (5 + 7 + 7 + 5) * 16],
    [0, 2 * (2 * 16 * 8) + 2 * 8],
    [0, 2 * (6 * 12) + 2 * 12],
  ];
  for (const [i, benchmark] of small.entries()) {
    await using own = await makeOwn(
      gpu,
      "f32",
      benchmark,
      makeValues(benchmark),
    );
    assertEquals([own.flops, own.elements], counts[i], benchmark.name);
  }
});

gpuTest("bench: the mini model's rows, of two images at once", async () => {
  const gpu = await sharedGpu();
  const benchmarks = chooseBenchmarks({ only: "mini", batch: 2 })
    .filter(({ name }) => /attention|norm/.test(name));
  assertEquals(benchmarks.length, 3);
  const sampling = { rounds: 1, sample: 1 };
  const storages: readonly StorageType[] = gpu.hasF16
    ? ["f32", "f16"]
    : ["f32"];
  for (const storage of storages) {
    const table = await benchOps(gpu, { storage, benchmarks, sampling });
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
  const two = chooseBenchmarks({ batch: 2 });
  for (const [i, { inputs }] of chooseBenchmarks().entries()) {
    for (const [name, { shape }] of Object.entries(inputs)) {
      const isWeight = name === "weight" || name === "bias";
      assertEquals(
        elementCount(two[i].inputs[name].shape),
        (isWeight ? 1 : 2) * elementCount(shape),
      );
    }
  }
});

Deno.test("bench: values have variance 1, and f16's rounding is applied", () => {
  const { x } = makeValues(layerNormCase("", normal([100, 100])));
  const variance = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  assert(Math.abs(variance - 1) < 0.02);
  const { y: [y] } = halved({ y: Float32Array.of(0.1) });
  assertEquals(y, Math.f16round(0.1));
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

/** Keeps arrays with their shapes, and computes nothing: an op is its first input. */
function fakeEngine(
  channels: "first" | "last",
  headsInside: boolean,
  most: number,
): Engine<{ values: Float32Array; shape: number[] }> {
  const limits = { maxStorageBufferBindingSize: most };
  return {
    device: { limits } as GPUDevice,
    channels,
    headsInside,
    run: {
      linear: (x) => x,
      conv2d: (x) => x,
      attention: (q) => q,
      groupNormSilu: (x) => x,
      layerNorm: (x) => x,
    },
    put: (values, shape) => ({ values, shape }),
    call: (run, inputs) => run(...inputs),
    wait: () => Promise.resolve(),
    data: ({ values }) => Promise.resolve(values),
    free() {},
  };
}

Deno.test("bench: layouts for other engines go there and back", async () => {
  const x = Float32Array.from({ length: 24 }, (_, i) => i);
  assertEquals([...transposed(x.subarray(0, 6), [1, 2, 3])], [
    0,
    3,
    1,
    4,
    2,
    5,
  ]);
  assertEquals(transposed(transposed(x, [2, 3, 4]), [2, 4, 3]), x);
  const split = transposed(x, [1, 4, 3, 2]);
  assertEquals([...split.subarray(8, 16)], [2, 3, 8, 9, 14, 15, 20, 21]);
  const heads = (heads: number) =>
    headsAtOnce(attentionCase("", [1, 5, 7, heads, 8]), 4 * 2 * 35);
  assertEquals([heads(2), heads(3)], [2, 1]);
  // A convolution that keeps the number of channels, that its input may be its output.
  const conv = convCase("", [2, 3, 4, 5], [5, 3, 3], { bias: false });
  const [, , attention, norm] = small;
  for (const benchmark of [conv, attention, norm]) {
    const values = makeValues(benchmark);
    const [first] = Object.values(values);
    for (const channels of ["first", "last"] as const) {
      for (const headsInside of [false, true]) {
        for (const most of [0, 2 ** 30]) {
          const engine = fakeEngine(channels, headsInside, most);
          using op = peerOp(engine, benchmark, values);
          assertEquals(await op.read(), first);
        }
      }
    }
  }
});

gpuTest(
  "bench: an engine that is wrong or missing gets no time, and a reason",
  async () => {
    const gpu = await sharedGpu();
    const values = makeValues(oneNorm);
    const given = Object.entries(oneNorm.inputs).map(([name, { shape }]) =>
      [name, { shape, data: Float64Array.from(values[name]) }] as const
    );
    const { data } = oneNorm.reference(Object.fromEntries(given));
    const result = Float32Array.from(data);
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
      benchmarks: [oneNorm],
      sampling: { rounds: 1, sample: 0.01 },
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

Deno.test("bench: --help lists every option, and those of its README", async () => {
  const path = repositoryPath("tools/bench/README.md");
  const section = (await Deno.readTextFile(path)).split("## Less work")[0];
  const told = section.match(/--[a-z][a-z-]*/g) ?? [];
  assert(told.length > 8);
  const known = Object.keys(OPTIONS).map((name) => `--${name}`);
  for (const option of [...told, ...known]) {
    assert(new RegExp(`${option}[ :]`).test(USAGE), `${option} is not there`);
  }
});
